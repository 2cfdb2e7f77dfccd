/** The page behind a link for a new password. */

import type { LinkPage } from "#src/http/link-pages";
import { inputInvalid, Problem } from "#src/kernel/problem";
import { password as passwordForm } from "./password-policy.ts";
import { resetPassword } from "./set-password.ts";

type Deps = Parameters<typeof resetPassword>[0];

const use: LinkPage<Deps>["use"] = async (deps, { token, password, client }) => {
  const parsed = passwordForm.safeParse(password);
  if (!parsed.success) {
    const errors = parsed.error.issues.map(({ message }) => ({ path: "body.password", message: `the password needs ${message}` }));
    throw new Problem(inputInvalid, { errors });
  }
  await resetPassword(deps, { token, password: parsed.data, keepSessions: false, client });
};

export const signInPages: readonly LinkPage<Deps>[] = [
  {
    purpose: "invitation",
    asksPassword: true,
    words: {
      en: {
        title: "Set your password",
        question: "An account was made for you. Set its password to use it.",
        button: "Set the password",
        done: "The password is set. You can close this page and sign in with it.",
      },
      hu: {
        title: "Állítsd be a jelszavadat",
        question: "Fiók készült neked. Állítsd be a jelszavát, hogy használhasd.",
        button: "Jelszó beállítása",
        done: "A jelszót beállítottuk. Bezárhatod ezt az oldalt, és bejelentkezhetsz vele.",
      },
    },
    use,
  },
  {
    purpose: "password_reset",
    asksPassword: true,
    words: {
      en: {
        title: "Set a new password",
        question: "Every device that is signed in to the account will be signed out.",
        button: "Set the password",
        done: "The password was set. You can close this page and sign in with it.",
      },
      hu: {
        title: "Új jelszó beállítása",
        question: "Minden eszköz, amely be van jelentkezve a fiókba, ki lesz jelentkeztetve.",
        button: "Jelszó beállítása",
        done: "A jelszót beállítottuk. Bezárhatod ezt az oldalt, és bejelentkezhetsz vele.",
      },
    },
    use,
  },
];
