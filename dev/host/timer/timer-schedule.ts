import { Cron } from 'croner';
import { parseTimeSpanMs } from '../host-config.ts';

/** When a timer runs: gives the first time after `from`, both in milliseconds since 1970. */
export interface TimerSchedule {
  readonly text: string;
  nextAfter(from: number): number;
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/** NCRONTAB knows numbers, lists, ranges, steps and English names; what other dialects add (`L`, `#`, `?`) Azure refuses. */
function isNcrontabField(field: string): boolean {
  const words = field.match(/[a-z]+/gi) ?? [];
  return /^[\d*,/a-z-]+$/i.test(field) && words.every((word) => isName(word.toLowerCase()));
}

function isName(word: string): boolean {
  return [...MONTHS, ...DAYS].includes(word.slice(0, 3));
}

/** The croner dialect takes names of three letters. */
function shortenNames(field: string): string {
  return field.replace(/[a-z]+/gi, (word) => word.slice(0, 3));
}

/**
 * Parses a timer's schedule: NCRONTAB of six fields (`{second} {minute} {hour} {day} {month} {weekday}`; with five, at
 * second 0), in UTC, or a span of time `hh:mm:ss` between runs. When both day and weekday are given, both must fit.
 *
 * @throws when it is neither, or can never come.
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
