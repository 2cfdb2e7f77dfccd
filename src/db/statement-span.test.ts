import { describe, expect, it } from "@jest/globals";
import { querySummary, statementSpan } from "./statement-span.ts";

describe("the summary of a statement", () => {
  it.each([
    ["select 1", "SELECT"],
    ["select status from user_standings where user_id = $1::uuid", "SELECT user_standings"],
    ["insert into users (id) values ($1)", "INSERT users"],
    ["delete from outbox where id in (select id from outbox where id < $1 limit 10)", "DELETE outbox SELECT outbox"],
    ["update only users u set x = 1", "UPDATE users"],
    ["select 'from secrets' from a -- from nowhere\n join b on true left join lateral f(1) on true", "SELECT a b"],
    ["select extract(epoch from least(u.a, now())) from sessions s, users u join only follows on true", "SELECT sessions follows"],
    ["insert into users(id) select id from users update users set a = 1", "INSERT users SELECT users UPDATE users"],
    ["select pg_advisory_xact_lock($1)", "SELECT"],
    [
      `with numbered as (
         insert into user_versions as v (user_id) values ($1) on conflict (user_id) do update set version = v.version + 1 returning version
       ), other (x) as materialized (select 1)
       insert into outbox (id) select $2 from numbered join other on true`,
      "INSERT user_versions outbox",
    ],
    ["select * from unnest($1::uuid[]) as w join users u on u.id = w.id for update of u skip locked", "SELECT users"],
  ])("%p is %p", (text, summary) => {
    expect(querySummary(text)).toBe(summary);
  });

  it("is short, and made once a statement", () => {
    const text = `select 1 ${Array.from({ length: 50 }, (_, i) => `from table_${i}`).join(" ")}`;
    expect(querySummary(text)).toHaveLength(120);
    expect(statementSpan({ text })).toBe(statementSpan({ text }));
  });
});
