// Holds Grafana dashboards against the types of @grafana/schema: unknown keys and wrong types are errors.
//
//   node dashboards.mjs TOOLS FILE...      TOOLS: a folder with node_modules/@grafana/schema and node_modules/typescript
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const [tools, ...files] = process.argv.slice(2);
if (!tools || files.length === 0) {
  console.error('usage: node dashboards.mjs TOOLS FILE...');
  process.exit(2);
}

// Literals stand in the source, because only they are checked for keys that no type has. Enums are written as the text that
// they are in JSON.
const TYPES = `
import type * as grafana from '@grafana/schema';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as text from '@grafana/schema/dist/esm/raw/composable/text/panelcfg/x/TextPanelCfg_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

type Plain<T> = T extends string ? \`\${T}\` : T extends number | boolean | null | undefined ? T
  : T extends (infer U)[] ? Plain<U>[] : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
type Part<T> = T extends (infer U)[] ? Part<U>[] : T extends object ? { [K in keyof T]?: Part<T[K]> } : T;
// What no value has takes an index signature's place, so that keys are checked.
type Known<T> = { [K in keyof T as string extends K ? never : K]: T[K] };

type Query = { refId: string; datasource: grafana.DataSourceRef; expr: string; legendFormat?: string; instant?: boolean;
  range?: boolean; format?: 'time_series' | 'table' | 'heatmap'; interval?: string };
type Base = Known<Omit<grafana.Panel, 'type' | 'options' | 'fieldConfig' | 'targets' | 'id' | 'gridPos'>>
  & { id: number; gridPos: grafana.Panel['gridPos'] };
type Figure<T, O, F> = Base & {
  type: T; options: Part<O>; targets: Query[];
  fieldConfig: { defaults: Known<Omit<grafana.FieldConfig, 'custom'>> & { custom?: Part<F> };
    overrides: grafana.FieldConfigSource['overrides'] };
};
type AnyPanel = Known<grafana.RowPanel> | Figure<'stat', stat.Options, {}> | Figure<'table', table.Options, table.FieldConfig>
  | Figure<'timeseries', timeseries.Options, timeseries.FieldConfig> | (Base & { type: 'text'; options: Part<text.Options> });
type Board = Plain<Known<Omit<grafana.Dashboard, 'panels' | 'templating'>> & {
  panels: AnyPanel[]; templating: { list: Known<grafana.VariableModel>[] } }>;
`;

const folder = mkdtempSync(join(tools, 'dashboards-'));
try {
  for (const file of files) {
    const name = basename(file, '.json');
    const literal = readFileSync(file, 'utf8');
    JSON.parse(literal);
    writeFileSync(join(folder, `${name}.ts`), `${TYPES}\nexport const board: Board = ${literal};\n`);
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({
    compilerOptions: { strict: true, noEmit: true, skipLibCheck: true, module: 'nodenext', moduleResolution: 'nodenext', target: 'es2022', types: [] },
    include: ['*.ts'],
  }));
  const tsc = join(tools, 'node_modules', 'typescript', 'bin', 'tsc');
  execFileSync(process.execPath, [tsc, '--project', folder], { stdio: 'inherit' });
} catch (error) {
  if (error.status === undefined) throw error;
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
