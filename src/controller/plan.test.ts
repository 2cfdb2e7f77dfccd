import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { DECLARATION_CODES, type DeclaredRestriction } from "#src/contract/external-restrictions";
import { conditionOf } from "./conditions.ts";
import { noteOn } from "./events.ts";
import { firstStep, nextStep, type Verdict } from "./plan.ts";
import { statusOf, statusPatch } from "./status.ts";
import { FINALIZER, RELEASE_ANNOTATION, type UserBan, type UserBanSpec, type UserBanStatus } from "./userban.ts";

const NOW = new Date("2026-11-26T12:00:00Z");
const PAST = "2026-11-26T11:00:00Z";
const FUTURE = "2026-11-26T13:00:00Z";

interface Given {
  readonly spec?: Partial<UserBanSpec>;
  readonly metadata?: Partial<UserBan["metadata"]>;
  readonly status?: UserBanStatus;
}

function ban({ spec, metadata, status }: Given = {}): UserBan {
  return {
    apiVersion: "moderation.videamozi.io/v1alpha1",
    kind: "UserBan",
    metadata: {
      name: "b",
      namespace: "n",
      uid: "u",
      resourceVersion: "1",
      generation: 3,
      creationTimestamp: "2026-11-26T10:00:00Z",
      ...metadata,
    },
    spec: { userRef: { username: "bob" }, kind: "ban", reason: "spam", requestedBy: "ann", ...spec },
    ...(status === undefined ? {} : { status }),
  };
}

function restriction(state: DeclaredRestriction["state"], more: Partial<DeclaredRestriction> = {}): DeclaredRestriction {
  return {
    source: "kubernetes",
    externalId: "c:n:b",
    uid: "u",
    generation: 3,
    state,
    userId: "01234567-0000-7000-8000-000000000001",
    restrictionId: "01234567-0000-7000-8000-000000000002",
    startsAt: null,
    expiresAt: null,
    enforcedAt: null,
    sessionsRevoked: 0,
    ...more,
  };
}

function declared(state: DeclaredRestriction["state"], more: Partial<DeclaredRestriction> = {}): Verdict {
  return { kind: "declared", answer: { outcome: "unchanged", restriction: restriction(state, more) } };
}

const guarded = { finalizers: [FINALIZER] };
const deleted = { ...guarded, deletionTimestamp: PAST };

describe("the first step", () => {
  it.each([
    ["a new one is guarded, then imposed", {}, { do: "impose", guard: true }],
    ["a guarded one is imposed", { metadata: guarded }, { do: "impose", guard: false }],
    ["one whose end has passed has no effect", { spec: { expiresAt: PAST } }, { do: "expire" }],
    ["one that may have had an effect is asked for", { spec: { expiresAt: PAST }, metadata: guarded }, { do: "impose", guard: false }],
    ["one with its end ahead is imposed", { spec: { expiresAt: FUTURE }, metadata: guarded }, { do: "impose", guard: false }],
    ["a paused one is left alone", { spec: { paused: true } }, { do: "pause" }],
    ["a deleted one ends", { metadata: deleted }, { do: "end", policy: "lift", released: false }],
    ["a deleted one ends although paused", { metadata: deleted, spec: { paused: true } }, { do: "end", policy: "lift", released: false }],
    [
      "a deleted one is kept where it says so",
      { metadata: deleted, spec: { deletionPolicy: "Keep" } },
      { do: "end", policy: "keep", released: false },
    ],
    [
      "a released one is kept and let go",
      { metadata: { ...deleted, annotations: { [RELEASE_ANNOTATION]: "true" } } },
      { do: "end", policy: "keep", released: true },
    ],
    ["a deleted one without our finalizer is others'", { metadata: { ...deleted, finalizers: ["other"] } }, { do: "nothing" }],
  ] as [string, Given, object][])("%s", (_what, given, step) => {
    expect(firstStep(ban(given), NOW)).toEqual(step);
  });
});

describe("the next step", () => {
  const in1h = 3_600_500;
  it.each([
    ["what is in force rests", {}, declared("active"), { do: "rest" }],
    ["what ends is looked at then", {}, declared("active", { expiresAt: FUTURE }), { do: "look-again", afterMs: in1h }],
    ["what begins is looked at then", {}, declared("planned", { startsAt: FUTURE }), { do: "look-again", afterMs: in1h }],
    ["a clock behind ours is not asked in a loop", {}, declared("active", { expiresAt: PAST }), { do: "look-again", afterMs: 5_000 }],
    ["a registration is waited for", {}, declared("waiting"), { do: "look-again", afterMs: 30_000 }],
    ["what has ended rests", {}, declared("ended"), { do: "rest" }],
    ["an outage is retried", {}, { kind: "unreachable", error: "answered 500" }, { do: "retry" }],
    ["an unknown name may come", {}, { kind: "refused", code: "user.not_found", detail: "" }, { do: "look-again", afterMs: 60_000 }],
    [
      "an unknown id hardly will",
      { spec: { userRef: { id: "x" } } },
      { kind: "refused", code: "user.not_found", detail: "" },
      { do: "look-again", afterMs: 600_000 },
    ],
    [
      "another's end is waited for",
      {},
      { kind: "refused", code: "restriction.conflict", detail: "" },
      { do: "look-again", afterMs: 30_000 },
    ],
    ["what is wrong rests until it is changed", {}, { kind: "refused", code: "input.invalid", detail: "" }, { do: "rest" }],
    [
      "an end put into the past ends it",
      { spec: { expiresAt: PAST } },
      { kind: "refused", code: "input.invalid", detail: "" },
      { do: "end-expired" },
    ],
  ] as [string, Given, Verdict, object][])("%s", (_what, given, verdict, step) => {
    expect(nextStep(ban(given), verdict, NOW)).toEqual(step);
  });
});

describe("the status", () => {
  const said = (verdict: Verdict, given: Given = {}): Record<string, string> =>
    Object.fromEntries(
      (statusOf(ban(given), verdict, NOW).conditions ?? []).map(({ type, status, reason }) => [type, `${status} ${reason}`]),
    );

  it.each([
    ["active", { Accepted: "True Accepted", Enforced: "True InForce", Expired: "False NotExpired" }],
    ["planned", { Accepted: "True Accepted", Enforced: "False Planned", Expired: "False NotExpired" }],
    ["waiting", { Accepted: "True Accepted", Enforced: "False WaitingForUser" }],
    ["ended", { Accepted: "True Accepted", Enforced: "False Expired", Expired: "True EndReached" }],
  ] as const)("tells of a restriction that is %s", (state, conditions) => {
    expect(said(declared(state))).toMatchObject(conditions);
  });

  it("takes what it knows from the service, not from the object", () => {
    const forged = {
      userId: "forged",
      enforcedAt: PAST,
      expiresAt: PAST,
      sessionsRevoked: 99,
      lastError: "forged",
      restrictionId: "forged",
    };
    const status = statusOf(ban({ status: forged }), declared("waiting", { userId: null, restrictionId: null }), NOW);
    expect(status).toMatchObject({ observedGeneration: 3, sessionsRevoked: 0 });
    expect(statusPatch(status)).toMatchObject({ userId: null, enforcedAt: null, expiresAt: null, lastError: null, restrictionId: null });
  });

  it("lets nothing but an answer say that a ban has ended", () => {
    const enforced = statusOf(ban(), declared("active"), NOW);
    const away = statusOf(ban({ status: enforced }), { kind: "unreachable", error: "answered 500" }, NOW);
    expect(conditionOf(away, "Enforced")).toEqual(conditionOf(enforced, "Enforced"));
    expect(conditionOf(away, "Accepted")).toMatchObject({ status: "True", reason: "ApiUnreachable" });
    expect(away).toMatchObject({ userId: enforced.userId, lastError: "the service answered 500" });
  });

  it("says that the version before a refused edit still stands", () => {
    const standing = restriction("active", { generation: 2 });
    expect(said({ kind: "refused", code: "input.invalid", detail: "no", standing })).toMatchObject({
      Accepted: "False Invalid",
      Enforced: "True EarlierGeneration",
    });
    expect(said({ kind: "refused", code: "input.invalid", detail: "no", standing: { ...standing, uid: "other" } })).toMatchObject({
      Enforced: "False NotAccepted",
    });
  });

  it("moves the transition time only with the status, and is equal when nothing changed", () => {
    const first = statusOf(ban(), declared("active"), NOW);
    const later = new Date("2026-11-26T12:30:00Z");
    expect(statusOf(ban({ status: first }), declared("active"), later)).toEqual(first);
    const ended = statusOf(ban({ status: first }), declared("ended"), later);
    expect(conditionOf(ended, "Enforced")?.lastTransitionTime).toBe("2026-11-26T12:30:00Z");
    expect(conditionOf(ended, "Accepted")?.lastTransitionTime).toBe("2026-11-26T12:00:00Z");
  });

  it("is worth an Event when its headline changes, and at each repair", () => {
    const first = statusOf(ban(), declared("active"), NOW);
    expect(noteOn(undefined, first)).toMatchObject({ type: "Normal", reason: "InForce" });
    expect(noteOn(first, statusOf(ban({ status: first }), declared("active"), NOW))).toBeUndefined();
    const repaired: Verdict = { kind: "declared", answer: { outcome: "repaired", restriction: restriction("active") } };
    const second = statusOf(ban({ status: first }), repaired, NOW);
    expect(noteOn(first, second)).toMatchObject({ type: "Warning", reason: "Repaired" });
    expect(noteOn(second, statusOf(ban({ status: second }), declared("active"), NOW))).toBeUndefined();
  });
});

describe("for any object and any answer", () => {
  const moments = fc.constantFrom(undefined, PAST, FUTURE);
  const anyBan = fc
    .record({
      expiresAt: moments,
      startsAt: moments,
      paused: fc.constantFrom(undefined, true),
      deletionPolicy: fc.constantFrom(undefined, "Lift" as const, "Keep" as const),
      isGuarded: fc.boolean(),
      isReleased: fc.boolean(),
      deletionTimestamp: fc.constantFrom(undefined, PAST),
    })
    .map(({ isGuarded, isReleased, deletionTimestamp, ...spec }) => {
      const present = Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined));
      return ban({
        spec: present,
        metadata: {
          ...(isGuarded ? guarded : {}),
          ...(isReleased ? { annotations: { [RELEASE_ANNOTATION]: "true" } } : {}),
          ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
        },
      });
    });
  const anyRestriction = fc
    .record({
      state: fc.constantFrom("waiting", "planned", "active", "ended", "lifted", "gone" as const),
      expiresAt: fc.constantFrom(null, PAST, FUTURE),
      startsAt: fc.constantFrom(null, PAST, FUTURE),
      uid: fc.constantFrom("u", "other"),
    })
    .map(({ state, ...more }) => restriction(state, more));
  const anyCode = fc.constantFrom(...Object.values(DECLARATION_CODES).filter((code) => code !== "restriction.foreign_source"));
  const anyVerdict: fc.Arbitrary<Verdict> = fc.oneof(
    fc
      .record({ outcome: fc.constantFrom("imposed", "replaced", "repaired", "unchanged", "waiting" as const), restriction: anyRestriction })
      .map((answer) => ({ kind: "declared" as const, answer })),
    fc.record({
      kind: fc.constant("refused" as const),
      code: anyCode,
      detail: fc.string(),
      standing: fc.option(anyRestriction, { nil: undefined }),
    }),
    fc.constant({ kind: "unreachable" as const, error: "answered 500" }),
    fc.constant({ kind: "malformed" as const, message: "no" }),
    fc.constantFrom({ kind: "paused" as const }, { kind: "expired" as const }),
  );

  it("lifts nothing without a deletion, or an end in the past that the service refused", () => {
    fc.assert(
      fc.property(anyBan, anyVerdict, (one, verdict) => {
        const first = firstStep(one, NOW);
        const isDeleted = one.metadata.deletionTimestamp !== undefined;
        if (first.do === "end") expect(isDeleted).toBe(true);
        if (first.do === "end" && first.policy === "lift") expect(one.spec.deletionPolicy).not.toBe("Keep");
        if (isDeleted) expect(["end", "nothing"]).toContain(first.do);
        if (nextStep(one, verdict, NOW).do === "end-expired")
          expect({ kind: verdict.kind, end: one.spec.expiresAt }).toEqual({ kind: "refused", end: PAST });
      }),
    );
  });

  it("has no effect without the finalizer, and never waits less than a second", () => {
    fc.assert(
      fc.property(anyBan, anyVerdict, (one, verdict) => {
        const first = firstStep(one, NOW);
        if (first.do === "impose") expect(first.guard).toBe(one.metadata.finalizers?.includes(FINALIZER) !== true);
        const next = nextStep(one, verdict, NOW);
        if (next.do === "look-again") expect(next.afterMs).toBeGreaterThanOrEqual(1_000);
      }),
    );
  });

  it("says nothing that contradicts itself, and settles", () => {
    fc.assert(
      fc.property(anyBan, anyVerdict, anyVerdict, (one, before, verdict) => {
        const status = statusOf({ ...one, status: statusOf(one, before, NOW) }, verdict, NOW);
        const { Accepted, Enforced, Expired, Conflict, ...others } = statesOf(status);
        expect(Object.keys(others)).toEqual(["Drifted"]);
        for (const { reason } of status.conditions ?? []) expect(reason).toMatch(/^[A-Za-z][A-Za-z0-9]*$/);
        if (Expired === "True") expect(Enforced).toBe("False");
        if (verdict.kind === "refused") expect(Accepted).toBe("False");
        expect(verdict.kind !== "refused" || verdict.code !== "restriction.conflict" || Conflict === "True").toBe(true);
        if (!isRepair(verdict)) expect(statusOf({ ...one, status }, verdict, new Date(FUTURE))).toEqual(status);
      }),
    );
  });

  it("takes a ban for enforced by an answer about this very incarnation only", () => {
    fc.assert(
      fc.property(anyBan, anyVerdict, anyVerdict, (one, before, verdict) => {
        const known = statusOf(one, before, NOW);
        const { Enforced } = statesOf(statusOf({ ...one, status: known }, verdict, NOW));
        fc.pre(Enforced === "True" && statesOf(known)["Enforced"] !== "True");
        expect(verdict.kind === "declared" || (verdict.kind === "refused" && verdict.standing?.uid === "u")).toBe(true);
      }),
    );
  });
});

function statesOf(status: UserBanStatus): Record<string, string> {
  return Object.fromEntries((status.conditions ?? []).map((one) => [one.type, one.status]));
}

function isRepair(verdict: Verdict): boolean {
  return verdict.kind === "declared" && verdict.answer.outcome === "repaired";
}
