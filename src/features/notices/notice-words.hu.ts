/** What notices say by mail, in Hungarian. */

import type { RestrictionReason } from "#src/contract/restriction-reasons";
import type { Capability } from "#src/kernel/actor";
import { moment, quoteOf, type NoticeWords } from "./notice-words.ts";

const NOUN = { limit: "korlátozása", suspend: "felfüggesztése", ban: "kitiltása" } as const;
const PAST = { limit: "korlátoztuk", suspend: "felfüggesztettük", ban: "kitiltottuk" } as const;
const STILL = "Ha kijelentkeztél vagy kijelentkeztettünk, jelentkezz be újra. Más korlátozások, ha vannak, továbbra is érvényesek.";
const NOT_YOU = "Ha nem te voltál, kérj most új jelszót: aki ezt tette, a nevedben be tud jelentkezni.";

const CAPABILITY: Readonly<Record<Capability, string>> = {
  post: "bejegyzést írni",
  follow: "másokat követni",
  message: "üzenetet küldeni",
  be_found: "a keresőben megjelenni",
  edit_profile: "a profilodat szerkeszteni",
  upload: "fájlt feltölteni",
};

const REASON: Readonly<Record<RestrictionReason, string>> = {
  spam: "kéretlen vagy félrevezető hirdetés",
  harassment: "mások zaklatása",
  hate: "gyűlölködés",
  violence: "fenyegetés vagy az erőszak dicsőítése",
  impersonation: "másnak adta ki magát",
  illegal: "törvénybe ütköző tartalom vagy tevékenység",
  underage: "a legkisebb életkor alatt",
  ban_evasion: "egy korábbi korlátozás megkerülése",
  compromised: "a fiók úgy tűnik, más kezébe került",
  other: "a szabályok más megsértése",
};

export const hungarian: NoticeWords = {
  "restriction.imposed": ({ kind, reason, message, capabilities, expiresAt }) => ({
    subject: `A fiókodat ${PAST[kind]}`,
    paragraphs: [
      kind === "limit"
        ? `Egyelőre nem tudsz: ${capabilities.map((one) => CAPABILITY[one]).join(", ")}.`
        : `A fiókodat ${PAST[kind]}, és mindenhol kijelentkeztettünk.`,
      `Az ok: ${REASON[reason]}.`,
      expiresAt === null ? "Nincs lejárata." : `Eddig tart: ${moment(expiresAt)}.`,
    ],
    ...quoteOf("A moderátor ezt írta:", message),
  }),
  "restriction.ended": ({ kind }) => ({
    subject: "A fiókod egyik korlátozása lejárt",
    paragraphs: [`A fiókod ${NOUN[kind]} véget ért.`, STILL],
  }),
  "restriction.lifted": ({ kind }) => ({
    subject: "A fiókod egyik korlátozását feloldottuk",
    paragraphs: [`Egy moderátor megszüntette: a fiókod ${NOUN[kind]}.`, STILL],
  }),
  "security.refresh_reuse": ({ device }) => ({
    subject: "A fiókod védelmében lezártuk az egyik munkamenetedet",
    paragraphs: [
      "Valaki olyan bejelentkezési kulcsot mutatott be, amelyet már használtak. Ez azt jelentheti, hogy lemásolták, ezért lezártuk a hozzá tartozó munkamenetet" +
        (device === null ? "." : ` (${device}).`),
      "Ha nem ismersz rá, jelentkezz be, nézd át a munkameneteidet, és változtasd meg a jelszavadat.",
    ],
  }),
  "security.password_changed": ({ how, sessionsRevoked }) => ({
    subject: "Megváltozott a jelszavad",
    paragraphs: [
      how === "reset" ? "Új jelszót állítottak be az erre a címre küldött hivatkozással." : "A jelszavadat megváltoztatták.",
      sessionsRevoked === 0 ? "Egyetlen munkamenetet sem zártunk le." : "A többi munkamenetedet lezártuk; ott jelentkezz be újra.",
      NOT_YOU,
    ],
  }),
  "security.email_changed": () => ({
    subject: "Új e-mail-cím tartozik a fiókodhoz",
    paragraphs: ["Mostantól erre a címre írunk.", NOT_YOU],
  }),
  "security.factor_added": ({ factor }) => ({
    subject: factor === "passkey" ? "Belépőkulcs került a fiókodhoz" : "Hitelesítő alkalmazás került a fiókodhoz",
    paragraphs: [
      factor === "passkey"
        ? "Mostantól ezzel egymagában is bejelentkezhetsz, a jelszavad viszont már nem elég. A helyreállító kódokat tartsd olyan helyen, ahol nélküle is megtalálod."
        : "Mostantól bejelentkezéskor egy kódját is kérjük. A helyreállító kódokat tartsd olyan helyen, ahol nélküle is megtalálod.",
      NOT_YOU,
    ],
  }),
  "security.factor_removed": ({ factor }) => ({
    subject: factor === "passkey" ? "A fiókod egyik belépőkulcsát eltávolították" : "A fiókod hitelesítő alkalmazását eltávolították",
    paragraphs: [
      factor === "passkey"
        ? "Ez a kulcs már semmire sem jó. Ha egy fióknak sem belépőkulcsa, sem hitelesítő alkalmazása nincs, a bejelentkezéshez elég a jelszó."
        : "Kódját többé nem kérjük. Ha a fiókodnak belépőkulcsa sincs, a bejelentkezéshez elég a jelszavad.",
      "A többi munkamenetedet lezártuk.",
      NOT_YOU,
    ],
  }),
  "security.recovery_code_used": ({ left }) => ({
    subject: "Felhasználták az egyik helyreállító kódodat",
    paragraphs: [`Valaki helyreállító kóddal jelentkezett be a hitelesítő alkalmazás helyett. Ennyi használható még: ${left}.`, NOT_YOU],
  }),
  "security.recovery_codes_renewed": () => ({
    subject: "Új helyreállító kódjai vannak a fiókodnak",
    paragraphs: ["A korábbi helyreállító kódok már semmire sem jók.", NOT_YOU],
  }),
  "security.passkey_copied": ({ name }) => ({
    subject: "Lehet, hogy lemásolták az egyik belépőkulcsodat",
    paragraphs: [
      "A fiókod egyik belépőkulcsa úgy válaszolt, ahogy egy másolata tenné. Senkit sem léptettünk be vele.",
      "Ha nem tudod az okát, távolítsd el a kulcsot a fiókodból, és vegyél fel helyette újat.",
    ],
    quote: { lead: "Így nevezted el:", text: name },
  }),
  "security.identity_linked": ({ provider }) => ({
    subject: `Mostantól ezen át is be lehet lépni a fiókodba: ${provider}`,
    paragraphs: [
      `Egy itteni azonosságot kapcsoltak a fiókodhoz: ${provider}. Akié, a jelszavad nélkül be tud lépni.`,
      "Ha nem te voltál, kérj most új jelszót, majd lépj be, és válaszd le az azonosságot: az új jelszó magában nem szünteti meg.",
    ],
  }),
  "security.identity_unlinked": ({ provider }) => ({
    subject: `Ezen át többé nem lehet belépni a fiókodba: ${provider}`,
    paragraphs: [`Egy itteni azonosságot leválasztottak a fiókodról: ${provider}.`, "A többi munkamenetedet lezártuk.", NOT_YOU],
  }),
  "security.roles_changed": ({ roles }) => ({
    subject: "Megváltoztak a fiókod szerepei",
    paragraphs: [`Mostani szerepeid: ${roles.join(", ")}. Mindenhol kijelentkeztettünk; jelentkezz be újra.`],
  }),
  "security.impersonated": ({ expiresAt }) => ({
    subject: "Egy munkatársunk a fiókodat nézi",
    paragraphs: [
      `Hogy segítsen vagy utánanézzen valaminek, egy munkatársunk a fiókodban jár el, legfeljebb eddig: ${moment(expiresAt)}. Azt látja, amit ` +
        "te. A bejelentkezésed módját nem változtathatja meg, semmit sem vihet ki és nem törölhet, és feljegyezzük, ha bármit módosít.",
      "A munkameneteid listájában látod, és ott le is zárhatod. Ha nem kértél segítséget, és tudni szeretnéd az okát, írj nekünk.",
    ],
  }),
  "security.username_changed": ({ from, to }) => ({
    subject: "Megváltozott a felhasználóneved",
    paragraphs: [`Mostantól @${to} a neved. A korábbi (@${from}) 90 napig hozzád vezet, és addig senki más nem veheti fel.`, NOT_YOU],
  }),
  "security.new_device": ({ device, address }) => ({
    subject: "Új eszközről jelentkeztek be a fiókodba",
    paragraphs: [
      `Az eszköz: ${device ?? "nem derül ki, milyen"}. A cím, ahonnan jött: ${address}.`,
      "Ha te voltál, nincs teendőd.",
      NOT_YOU,
    ],
  }),
  "follow.started": () => ({
    subject: "Valaki követni kezdett",
    paragraphs: ["A követőid között látod, ki az."],
  }),
  "follow.requested": () => ({
    subject: "Valaki követni szeretne",
    paragraphs: ["A kérések között látod, ki az, és ott döntesz róla."],
  }),
  "follow.accepted": () => ({
    subject: "Elfogadták a követési kérésedet",
    paragraphs: ["Mostantól követed."],
  }),
};
