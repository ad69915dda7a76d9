import { Cron } from 'croner';
import { parseTimeSpanMs } from '../host-config.ts';

/** When a timer runs. `nextAfter` returns the first time after `from`; both are epoch milliseconds. */
export interface TimerSchedule {
  readonly text: string;
  nextAfter(from: number): number;
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/** NCRONTAB has numbers, lists, ranges, steps and English names. Azure refuses the signs of other dialects (`L`, `#`, `?`). */
function isNcrontabField(field: string): boolean {
  const words = field.match(/[a-z]+/gi) ?? [];
  return /^[\d*,/a-z-]+$/i.test(field) && words.every((word) => isName(word.toLowerCase()));
}

function isName(word: string): boolean {
  return [...MONTHS, ...DAYS].includes(word.slice(0, 3));
}

/** croner accepts only names of three letters. */
function shortenNames(field: string): string {
  return field.replace(/[a-z]+/gi, (word) => word.slice(0, 3));
}

/**
 * Parses a timer's schedule. It is either NCRONTAB in UTC, with six fields (`{second} {minute} {hour} {day} {month}
 * {weekday}`) or five (second 0), or a time span `hh:mm:ss` between runs. If day and weekday are given, both must match.
 *
 * @throws when it is neither, or has no next time.
 */
export function parseTimerSchedule(text: string): TimerSchedule {
  const spanMs = parseTimeSpanMs(text);
  if (spanMs !== undefined && spanMs > 0) return { text, nextAfter: (from) => from + spanMs };
  const fields = text.trim().split(/\s+/);
  if ((fields.length !== 5 && fields.length !== 6) || !fields.every(isNcrontabField)) {
    throw new Error(`The schedule '${text}' is neither six NCRONTAB fields nor a span of time (hh:mm:ss).`);
  }
  const pattern = (fields.length === 5 ? ['0', ...fields] : fields).map(shortenNames).join(' ');
  const cron = new Cron(pattern, {
    timezone: 'UTC',
    mode: '6-part',
    domAndDow: true,
    sloppyRanges: true,
    paused: true,
  });
  const schedule: TimerSchedule = {
    text,
    nextAfter(from) {
      const next = cron.nextRun(new Date(from));
      if (!next) throw new Error(`The schedule '${text}' never comes.`);
      return next.getTime();
    },
  };
  schedule.nextAfter(Date.now());
  return schedule;
}
