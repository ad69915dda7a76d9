/** A label's frameworks: `FRAMEWORK:requirement`. */
type Requirements = readonly string[];

const BROAD = ['SOC2:CC7.2', 'ISO27001:A.12.4.1'];
const SOC2 = ['SOC2:CC7.2'];
const HEALTH = [...BROAD, 'HIPAA:164.308(a)'];

/** The taxonomy's version. */
export const TAXONOMY_VERSION = '2025.09';

/** The version of its compliance mappings. */
export const FRAMEWORKS_VERSION = 'v1.0';

const group = (
  prefix: string,
  requirements: Requirements,
  ...names: readonly string[]
): [string, Requirements][] => names.map((name) => [`${prefix}.${name}`, requirements]);

/** Every canonical label, and the requirements that it maps to. */
export const LABELS: ReadonlyMap<string, Requirements> = new Map([
  ...group('PII.Identifier', HEALTH, 'SSN'),
  ...group('PII.Identifier', BROAD, 'CreditCard', 'BankAccount', 'Passport'),
  ...group('PII.Identifier', [], 'Other'),
  ...group('PII.Contact', BROAD, 'Email', 'Phone', 'Address'),
  ...group('PII.Contact', [], 'URL'),
  ...group('PII.Health', HEALTH, 'HIPAA'),
  ...group('PII.Person', [], 'Name', 'DateOfBirth', 'Age'),
  ...group('PII', BROAD, 'Other'),
  ...group('JAILBREAK', BROAD, 'Attempt'),
  ...group('PROMPT_INJECTION', BROAD, 'ToolRequest', 'DataExfiltration', 'PolicyOverride'),
  ...group('PROMPT_INJECTION', SOC2, 'Other'),
  ...group('HARM.SPEECH', BROAD, 'Toxicity', 'Threat'),
  ...group('HARM.SPEECH', SOC2, 'Obscenity', 'Insult'),
  ...group('HARM.SPEECH.Hate', SOC2, 'Race', 'Gender', 'Religion', 'SexualOrientation', 'Other'),
  ...group('HARM.VIOLENCE', BROAD, 'Physical'),
  ...group('HARM.VIOLENCE', SOC2, 'SelfHarm', 'Suicide', 'Sexual', 'ChildSexualAbuse', 'Other'),
  ...group('BIAS', SOC2, 'Gender', 'Race', 'Religion', 'Other'),
  ...group('OTHER', SOC2, 'Unknown', 'ModelError'),
  ...group('OTHER', [], 'Safe', 'PolicyViolation', 'ContentFiltered', 'OffTopic', 'LowRisk', 'NeedsReview'),
  ...group('OTHER', [], 'Misinformation', 'Hallucination', 'FactualError', 'LowQuality'),
]);

/** The severity of a finding under a label. */
export function severityOf(label: string): 'low' | 'medium' | 'high' | 'critical' {
  if (/ChildSexualAbuse|Suicide|SelfHarm/.test(label)) return 'critical';
  if (/^(PII\.Identifier|PII\.Health|JAILBREAK|PROMPT_INJECTION|HARM)/.test(label)) return 'high';
  return label.startsWith('OTHER') ? 'low' : 'medium';
}
