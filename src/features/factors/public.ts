/** The door of second factors: what an account has, and proving it. */

export { factorBudget } from "./factors.actions.ts";
export { askPasskeys, passkeyOf, passkeyOfAnybody, takePasskey } from "./answer-by-passkey.ts";
export {
  factorCodeWrong,
  passkeyChallengeInvalid,
  passkeyInvalid,
  passkeyNotFound,
  signInThrottled,
  totpExists,
  totpNotFound,
} from "./factors.errors.ts";
export { factorCode, recoveryCodesSchema, totpOfferSchema } from "./factors.schemas.ts";
export { authenticationResponse, requestOptionsSchema, type AuthenticationResponse, type RequestOptions } from "./passkeys.schemas.ts";
export { lacksProvedAddress, selectFactors } from "./factors.sql.ts";
export { createSeals, type Seals } from "./seals.ts";
export { methodsOf, takeFactorCode, type FactorMethod } from "./second-factor.ts";
export { confirmFor, dropUnprovedFactors, offerTo, removeFactors, type TotpOffer } from "./totp-factor.ts";
export { challengeOf, requestOptions, type Site } from "./webauthn.ts";
