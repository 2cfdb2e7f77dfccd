/** The `UserBan` resource as the API server gives it: charts/user-service/crds/userbans.yaml is its schema. */

/** Where its kind lives in the API. */
export const USERBANS_PATH = "/apis/moderation.videamozi.io/v1alpha1";
/** Put on before the first effect, taken off after the end was said: nothing disappears without its restriction. */
export const FINALIZER = "moderation.videamozi.io/lift";
/** With the value `true` a deletion goes through without lifting, also while the service is away. */
export const RELEASE_ANNOTATION = "moderation.videamozi.io/release";
/** On a namespace with the value `true`: its resources may restrict moderators. */
export const ALLOW_STAFF_LABEL = "moderation.videamozi.io/allow-staff";

/** What every object carries. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace: string;
  /** Of this incarnation. */
  readonly uid: string;
  readonly resourceVersion: string;
  /** Grows with each change of the spec. */
  readonly generation: number;
  readonly creationTimestamp: string;
  readonly deletionTimestamp?: string;
  readonly finalizers?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface UserBanSpec {
  readonly userRef: { readonly id?: string; readonly username?: string; readonly email?: string; readonly emailHash?: string };
  readonly kind: "ban" | "suspend" | "limit";
  readonly capabilities?: readonly string[];
  readonly reason: string;
  readonly message?: string;
  readonly requestedBy?: string;
  readonly startsAt?: string;
  readonly expiresAt?: string;
  readonly duration?: string;
  readonly onConflict?: "Refuse" | "Adopt";
  readonly deletionPolicy?: "Lift" | "Keep";
  readonly paused?: boolean;
}

export type ConditionType = "Accepted" | "Enforced" | "Expired" | "Drifted" | "Conflict" | "Held";

/** As of Kubernetes' API conventions. */
export interface Condition {
  readonly type: ConditionType;
  readonly status: "True" | "False" | "Unknown";
  readonly observedGeneration?: number;
  readonly lastTransitionTime: string;
  readonly reason: string;
  readonly message: string;
}

export interface UserBanStatus {
  readonly conditions?: readonly Condition[];
  readonly observedGeneration?: number;
  readonly userId?: string;
  readonly restrictionId?: string;
  readonly enforcedAt?: string;
  readonly expiresAt?: string;
  readonly sessionsRevoked?: number;
  readonly lastError?: string;
}

export interface UserBan {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly spec: UserBanSpec;
  readonly status?: UserBanStatus;
}

/** `namespace/name`: what the queue and the cache know it by. */
export function keyOf({ metadata }: Pick<UserBan, "metadata">): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** Its path in the API. */
export function pathOf({ metadata }: Pick<UserBan, "metadata">): string {
  return `${USERBANS_PATH}/namespaces/${metadata.namespace}/userbans/${metadata.name}`;
}

/** What the service knows it by: no slash, see `externalId` of the contract. */
export function externalIdOf(clusterName: string, key: string): string {
  return `${clusterName}:${key.replace("/", ":")}`;
}

/** The key of one of this cluster's, or nothing for another's. */
export function keyOfExternalId(clusterName: string, externalId: string): string | undefined {
  const [cluster, namespace, name, ...more] = externalId.split(":");
  return cluster === clusterName && namespace !== undefined && name !== undefined && more.length === 0 ? `${namespace}/${name}` : undefined;
}
