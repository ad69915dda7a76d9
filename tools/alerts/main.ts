import { writeFileSync } from 'node:fs';
import { alertRules } from './alert-rules.ts';

// Writes the alerts with their queries for bicep. tests/alerts/alerts-list.test.ts fails when the file is out of date.
const file = new URL('../../bicep/alerts.json', import.meta.url);
writeFileSync(file, `${JSON.stringify(alertRules(), null, 2)}\n`);
