/** The schema of a database as readable text, so that a migration's effect can be read in a diff. */

import pg from "pg";

const PARTS: readonly { readonly title: string; readonly query: string }[] = [
  {
    title: "tables",
    query: `select format(E'%s (%s)\\n%s', c.relname, case c.relpersistence when 'u' then 'unlogged table' else 'table' end,
              string_agg(format('  %s %s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
                case when a.attnotnull then ' not null' else '' end,
                case when a.attidentity <> '' then ' identity' else '' end,
                case when d.adbin is null then '' else ' default ' || pg_get_expr(d.adbin, d.adrelid) end), E'\\n' order by a.attnum)) as line
            from pg_class c
            join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
            where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace and c.relname not like 'schema_migrations%'
            group by c.relname, c.relpersistence order by c.relname`,
  },
  {
    title: "constraints",
    query: `select format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) as line
            from pg_constraint where connamespace = 'public'::regnamespace and contype <> 'n' and conrelid <> 0
              and conrelid::regclass::text not like 'schema_migrations%'
            order by conrelid::regclass::text, conname`,
  },
  {
    title: "indexes",
    query: `select indexdef as line from pg_indexes where schemaname = 'public' and tablename not like 'schema_migrations%' order by indexname`,
  },
  {
    title: "views",
    query: `select format(E'%s\\n%s', viewname, definition) as line from pg_views where schemaname = 'public' order by viewname`,
  },
  {
    title: "functions",
    query: `select pg_get_functiondef(p.oid) as line from pg_proc p
            where p.pronamespace = 'public'::regnamespace and p.prokind = 'f'
              and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
            order by p.proname`,
  },
  {
    title: "triggers",
    query: `select pg_get_triggerdef(oid) as line from pg_trigger where not tgisinternal order by tgname`,
  },
];

/** Reads everything our migrations made. Text of the embedded server's version; another may word defaults differently. */
export async function schemaText(databaseUrl: string): Promise<string> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const parts: string[] = ["-- Made by the migrations; written by: UPDATE_SCHEMA=1 npm test -- src/db/migrate"];
    for (const { title, query } of PARTS) {
      const { rows } = await client.query<{ line: string }>(query);
      parts.push(`-- ${title}`, ...rows.map((row) => row.line.trimEnd()));
    }
    return `${parts.join("\n\n")}\n`;
  } finally {
    await client.end();
  }
}
