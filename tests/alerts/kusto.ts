import { createRequire } from 'node:module';

/** The part of Microsoft's language service for KQL that the tests use. It has no module of its own: it sets a global. */
interface KustoLanguage {
  readonly KustoCode: {
    ParseAndAnalyze(
      query: string,
      globals: unknown,
    ): { GetDiagnostics(): { Count: number; getItem(index: number): { Message: string } } };
  };
  readonly GlobalState: { Default: { WithDatabase(database: unknown): unknown } };
  readonly Symbols: {
    readonly TableSymbol: { From(columns: string): { WithName(name: string): unknown } };
    readonly DatabaseSymbol: { readonly ctor: new (name: string, tables: readonly unknown[]) => unknown };
  };
}

/** The workspace's tables that queries use, with their documented columns that queries use. */
const TABLES = {
  AppMetrics:
    '(TimeGenerated:datetime, Name:string, Sum:real, Min:real, Max:real, ItemCount:int, Properties:dynamic, AppRoleInstance:string, AppRoleName:string, OperationId:string)',
  AppRequests:
    '(TimeGenerated:datetime, Name:string, DurationMs:real, Success:bool, ResultCode:string, ItemCount:int, Properties:dynamic, OperationId:string, AppRoleInstance:string, AppRoleName:string)',
  AppDependencies:
    '(TimeGenerated:datetime, Name:string, Target:string, DependencyType:string, DurationMs:real, Success:bool, ItemCount:int, Properties:dynamic, OperationId:string, AppRoleInstance:string)',
  AppTraces:
    '(TimeGenerated:datetime, Message:string, SeverityLevel:int, Properties:dynamic, OperationId:string, AppRoleInstance:string)',
};

function openLanguage(): { language: KustoLanguage; globals: unknown } {
  const require = createRequire(import.meta.url);
  require('@kusto/language-service-next/bridge.min.js');
  require('@kusto/language-service-next/Kusto.Language.Bridge.min.js');
  const { Language: language } = (globalThis as unknown as { Kusto: { Language: KustoLanguage } }).Kusto;
  const tables = Object.entries(TABLES).map(([name, columns]) =>
    language.Symbols.TableSymbol.From(columns).WithName(name),
  );
  const database = new language.Symbols.DatabaseSymbol.ctor('workspace', tables);
  return { language, globals: language.GlobalState.Default.WithDatabase(database) };
}

let opened: ReturnType<typeof openLanguage> | undefined;

/** What the language's own compiler finds wrong in a query over the workspace's tables. */
export function faultsInQuery(query: string): string[] {
  opened ??= openLanguage();
  const found = opened.language.KustoCode.ParseAndAnalyze(query, opened.globals).GetDiagnostics();
  return Array.from({ length: found.Count }, (_, index) => found.getItem(index).Message);
}
