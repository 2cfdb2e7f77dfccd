/** What is wrong about variables that are each right by themselves. */

import type { Variables } from "./variables.ts";

/** Which process this is decides some defaults and what must be there: `standalone` is one machine, the others are containers. */
export type Setting = "standalone" | "api" | "worker" | "controller" | "migrate";

/** One variable that is not as it must be. */
export interface ConfigProblem {
  readonly variable: string;
  readonly message: string;
}

/** Every problem that shows only in what stands beside it, or in which process this is. */
export function crossChecks(env: Variables, setting: Setting): ConfigProblem[] {
  return [
    ...productionChecks(env, setting),
    ...neededBy(env, setting),
    ...mailChecks(env, setting),
    ...togetherChecks(env),
    ...originChecks(env),
    ...passkeyChecks(env),
  ];
}

function productionChecks(env: Variables, setting: Setting): ConfigProblem[] {
  if (env.NODE_ENV !== "production") return [];
  const problems: ConfigProblem[] = [];
  if (env.RATE_LIMITS === "off") problems.push({ variable: "RATE_LIMITS", message: "must be on under NODE_ENV=production" });
  if (setting !== "migrate" && sidecarOf(env) === "local")
    problems.push({ variable: "SIDECAR", message: "must be dapr under NODE_ENV=production: the in-process one is for one machine" });
  if (env.MAIL_DRIVER === "mailbox")
    problems.push({ variable: "MAIL_DRIVER", message: "must be smtp under NODE_ENV=production: what is in the mailbox reaches nobody" });
  if (env.PUBLIC_URL === undefined && setting !== "migrate" && setting !== "controller")
    problems.push({
      variable: "PUBLIC_URL",
      message: "must be set under NODE_ENV=production: links in mail, the issuer of tokens and whether cookies are Secure come from it",
    });
  return problems;
}

/** What some processes cannot be without. */
function neededBy(env: Variables, setting: Setting): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const hasDatabase = env.DATABASE_URL !== undefined || setting === "standalone" || setting === "controller";
  if (!hasDatabase)
    problems.push({ variable: "DATABASE_URL", message: "must be set: a URL like postgres://user:password@host:5432/videa_mozi_users" });
  const takesEvents = sidecarOf(env) === "dapr" && (setting === "api" || setting === "standalone");
  if (takesEvents && env.APP_API_TOKEN === undefined)
    problems.push({ variable: "APP_API_TOKEN", message: "must be set with SIDECAR=dapr: it is how daprd proves itself" });
  return problems;
}

/** Whoever runs jobs sends mail. */
function mailChecks(env: Variables, setting: Setting): ConfigProblem[] {
  const sends = setting === "worker" || setting === "standalone";
  // Under production a mailbox is refused: what it is to be replaced by is told at once.
  if (!sends || (mailDriverOf(env) !== "smtp" && env.NODE_ENV !== "production")) return [];
  const problems: ConfigProblem[] = [];
  if (env.SMTP_URL === undefined)
    problems.push({ variable: "SMTP_URL", message: "must be set to send mail: a URL like smtp://user:password@host:587" });
  if (env.MAIL_FROM === undefined)
    problems.push({ variable: "MAIL_FROM", message: "must be set to send mail: an address like no-reply@example.com" });
  return problems;
}

function togetherChecks(env: Variables): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const admin = [env.BOOTSTRAP_ADMIN_USERNAME, env.BOOTSTRAP_ADMIN_EMAIL, env.BOOTSTRAP_ADMIN_PASSWORD];
  if (admin.some((part) => part !== undefined) && admin.includes(undefined))
    problems.push({ variable: "BOOTSTRAP_ADMIN_*", message: "needs USERNAME, EMAIL and PASSWORD together, or none of them" });
  if (env.AUDIENCES.length === 0) problems.push({ variable: "AUDIENCES", message: "must name at least this service's own audience" });
  return problems;
}

function originChecks(env: Variables): ConfigProblem[] {
  const wrong = (env.CORS_ORIGINS ?? []).filter((origin) => !URL.canParse(origin) || new URL(origin).origin !== origin);
  return wrong.map((origin) => ({
    variable: "CORS_ORIGINS",
    message: `each must be an exact origin like https://app.example.com; ${JSON.stringify(origin)} is not`,
  }));
}

/** An authenticator answers only a page whose host is the site's or below it. */
function passkeyChecks(env: Variables): ConfigProblem[] {
  const rpId = env.WEBAUTHN_RP_ID;
  if (rpId === undefined) return [];
  const pages = [env.PUBLIC_URL ?? "http://localhost", ...(env.CORS_ORIGINS ?? [])];
  const fits = pages.some((page) => URL.canParse(page) && `.${new URL(page).hostname}`.endsWith(`.${rpId}`));
  if (fits) return [];
  return [{ variable: "WEBAUTHN_RP_ID", message: "must be the host, or a parent domain of it, of PUBLIC_URL or of one of CORS_ORIGINS" }];
}

/** daprd's injector and `dapr run` set DAPR_HTTP_PORT: who is run beside one uses it. */
export function sidecarOf(env: Variables): "dapr" | "local" {
  if (env.SIDECAR !== undefined) return env.SIDECAR;
  return env.NODE_ENV === "production" || env.DAPR_HTTP_PORT !== undefined ? "dapr" : "local";
}

/** The mailbox is for one machine that was told of no mail server. */
export function mailDriverOf(env: Variables): "smtp" | "mailbox" {
  if (env.MAIL_DRIVER !== undefined) return env.MAIL_DRIVER;
  return env.NODE_ENV === "production" || env.SMTP_URL !== undefined ? "smtp" : "mailbox";
}
