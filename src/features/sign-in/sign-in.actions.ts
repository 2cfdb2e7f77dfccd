/** How often people may register and try to sign in. */

import type { Purpose } from "#src/features/one-time-tokens/public";
import type { Action } from "#src/kernel/actor";

export const registerAction: Action = { name: "sign_in.register", limit: 300, windowSeconds: 60 };
export const loginAction: Action = { name: "sign_in.login", limit: 300, windowSeconds: 60 };

/**
 * Counted across processes: guesses at one account, wherever they come from, and guesses from one address. Three wrong ones and the
 * right one cost no wait; then 1, 2, 4 … 60 s, so the twentieth comes 12 minutes after the first at the earliest.
 */
export const loginAccountBudget: Action = {
  name: "sign_in.login.account",
  limit: 20,
  windowSeconds: 15 * 60,
  pace: { freeTries: 4, firstSeconds: 1, mostSeconds: 60 },
};
/** Guesses by one device that has signed in to the account before: of its own, so that nobody else can use them up. */
export const loginDeviceBudget: Action = { name: "sign_in.login.device", limit: 20, windowSeconds: 15 * 60 };
export const loginAddressBudget: Action = { name: "sign_in.login.address", limit: 300, windowSeconds: 15 * 60 };

export const forgotAction: Action = { name: "sign_in.forgot_password", limit: 30, windowSeconds: 60 };
export const resetAction: Action = { name: "sign_in.reset_password", limit: 60, windowSeconds: 60 };
export const changePasswordAction: Action = { name: "sign_in.change_password", limit: 30, windowSeconds: 60 };

/** Guesses at the password of somebody whose session is open, counted across processes. Of its own: it must lock nobody out of signing in. */
export const passwordBudget: Action = { name: "sign_in.password.account", limit: 10, windowSeconds: 15 * 60 };
/**
 * Mails of one purpose that one address can be made to get, counted across processes. Each purpose for itself, as whoever uses up one
 * that mails nothing must not keep the owner from another; and few, as together they fill a mailbox.
 */
export const mailAddressBudget: Action = { name: "sign_in.mail.address", limit: 5, windowSeconds: 60 * 60 };

/** What `mailAddressBudget` is counted for. */
export function mailSubject(purpose: Purpose, email: string): string {
  return `${purpose}:${email.toLowerCase()}`;
}

export const mfaAction: Action = { name: "sign_in.mfa", limit: 60, windowSeconds: 60 };
export const passkeyOptionsAction: Action = { name: "sign_in.passkey.options", limit: 120, windowSeconds: 60 };
export const passkeyLoginAction: Action = { name: "sign_in.passkey", limit: 120, windowSeconds: 60 };
export const stepUpAction: Action = { name: "sign_in.step_up", limit: 30, windowSeconds: 60 };

export const beginProviderAction: Action = { name: "sign_in.provider.begin", limit: 120, windowSeconds: 60 };
export const providerLoginAction: Action = { name: "sign_in.provider", limit: 60, windowSeconds: 60 };
