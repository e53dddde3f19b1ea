/* What a board of ours may be: Grafana's own schema, with panels of one kind. Strings stand where the schema has enums. */
import type { Dashboard, Panel, RowPanel, DataSourceRef } from "@grafana/schema/dist/types/raw/dashboard/x/dashboard_types.gen.d.ts";
import type { FieldConfig, Options } from "@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen.d.ts";

type Plain<T> = T extends string ? `${T}` : T extends number | boolean | undefined | null ? T : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
type Defaults = Omit<NonNullable<Panel["fieldConfig"]>["defaults"], "custom"> & { custom: FieldConfig };
type Query = { refId: string; datasource: DataSourceRef; expr: string; legendFormat: string };
type Graph = Omit<Panel, "type" | "options" | "fieldConfig" | "targets"> & {
	type: "timeseries";
	options: Options;
	fieldConfig: { defaults: Defaults; overrides: never[] };
	targets: Query[];
};
export type Board = Plain<Omit<Dashboard, "panels">> & { panels: (Plain<Graph> | Plain<RowPanel>)[] };
