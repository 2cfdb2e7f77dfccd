/** Names for a crowd: few that very many bear and very many that few do, in several scripts, with accents. */

/** From 0 to below 1, the same sequence for the same seed. */
export type Chance = () => number;

/** mulberry32: small, fast, and good enough to draw people with. */
export function chanceFrom(seed: number): Chance {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Names of one script; those that are not Latin with how a username spells them. */
interface Script {
  /** Of how many in a thousand. */
  readonly share: number;
  readonly given: readonly string[];
  readonly family: readonly string[];
  readonly joint: string;
  readonly isFamilyFirst: boolean;
}

const list = (text: string): string[] => text.split(" ");

const SCRIPTS: readonly Script[] = [
  {
    share: 780,
    given: list(
      "Maria Anna Michael David José Alexander Marie Daniel Mohamed Laura Martin Peter Julia Thomas Sofia Andreas Marta Carlos Elena Lucas " +
        "Sarah Paul Ana Matteo Emma Jan Eva Luis Nina Marco Chloé Zoë Björn Søren Łukasz Jürgen Françoise Núria Iñaki Réka Zsófia Gábor Žofia " +
        "Şebnem Ömer Åsa Ærø Mariana Marina Marianne Martina Michaela Michelle Alejandro Alessandro Aleksandra Johanna Johannes Jonathan Joanna",
    ),
    family: list(
      "García Müller Silva Nguyễn Kovács Novák Jensen Nowak Rossi Smith Johnson Martínez Fernández López Dubois Lefèvre Schröder Weiß Horváth Szabó " +
        "Yılmaz Öztürk Håkansson Ødegård Łuczak Dvořák Černý Ionescu Popescu Jónsdóttir O'Brien MacLeod Santos Oliveira Pereira Costa Ferreira Andersen " +
        "Andersson Anderson Peterson Petersen Petrović Marković Jovanović Williams Williamson Brown Browning Martin Martins",
    ),
    joint: " ",
    isFamilyFirst: false,
  },
  {
    share: 60,
    given: list(
      "Мария:maria Александр:alexandr Дмитрий:dmitry Елена:elena Сергей:sergey Ольга:olga Андрей:andrey Фёдор:fyodor Їжак:yizhak",
    ),
    family: list(
      "Иванов:ivanov Петров:petrov Смирнов:smirnov Кузнецова:kuznetsova Шевченко:shevchenko Соловьёв:solovyov Бондаренко:bondarenko",
    ),
    joint: " ",
    isFamilyFirst: false,
  },
  {
    share: 20,
    given: list("Μαρία:maria Γιώργος:giorgos Ελένη:eleni Νίκος:nikos Δημήτρης:dimitris"),
    family: list("Παπαδόπουλος:papadopoulos Γεωργίου:georgiou Νικολάου:nikolaou"),
    joint: " ",
    isFamilyFirst: false,
  },
  {
    share: 50,
    given: list("محمد:mohamed أحمد:ahmed فاطمة:fatima علي:ali مريم:maryam يوسف:yusuf"),
    family: list("العلي:alali حسن:hassan المصري:almasri خليل:khalil"),
    joint: " ",
    isFamilyFirst: false,
  },
  {
    share: 50,
    given: list("伟:wei 芳:fang 秀英:xiuying 敏:min 静:jing 丽:li 强:qiang 磊:lei"),
    family: list("王:wang 李:li 张:zhang 刘:liu 陈:chen 杨:yang"),
    joint: "",
    isFamilyFirst: true,
  },
  {
    share: 20,
    given: list("さくら:sakura はると:haruto ゆい:yui みゆき:miyuki たろう:taro"),
    family: list("佐藤:sato 鈴木:suzuki 高橋:takahashi 田中:tanaka"),
    joint: " ",
    isFamilyFirst: true,
  },
  {
    share: 20,
    given: list("आरव:aarav प्रिया:priya राहुल:rahul अनन्या:ananya"),
    family: list("शर्मा:sharma सिंह:singh पटेल:patel"),
    joint: " ",
    isFamilyFirst: false,
  },
];

/** What rare names are made of. */
const SYLLABLES = list(
  "ba be bi bra ca che dé di dor el fa fi gar gré ha ho is ja jo ka ki la le lín ma mi mon na né ni or pa ra ré ri ro sa sil ta té to va vi xa zo zu",
);
/** Of given names and of family names alike. */
const RARE = 0.35;
/** How some usernames begin. */
const BEGINNINGS = list("the real. its official_ dr. team mr");

export interface Named {
  readonly username: string;
  readonly displayName: string;
}

/** Somebody's names. `number` makes the username the only one. */
export function nameOf(chance: Chance, number: number): Named {
  const { given, family, joint, isFamilyFirst } = scriptBy(chance() * 1_000);
  const first = nameFrom(chance, given);
  const last = nameFrom(chance, family);
  const displayName = isFamilyFirst ? `${last.shown}${joint}${first.shown}` : `${first.shown}${joint}${last.shown}`;
  return {
    username: `${beginningOf(chance)}${first.typed}${chance() < 0.4 ? `.${last.typed.slice(0, 6)}` : ""}_${number.toString(36)}`,
    displayName,
  };
}

function scriptBy(place: number): Script {
  let upTo = 0;
  const found = SCRIPTS.find(({ share }) => {
    upTo += share;
    return place < upTo;
  });
  return found ?? (SCRIPTS[0] as Script);
}

function nameFrom(chance: Chance, common: readonly string[]): { readonly shown: string; readonly typed: string } {
  // The first of the list far more often than the last.
  const name = common[Math.floor(common.length * chance() ** 2)] ?? "";
  const [shown = "", typed = shown] = name.split(":");
  if (typed !== shown || chance() >= RARE) return { shown, typed: asciiOf(typed) };
  const made = Array.from({ length: 2 + Math.floor(chance() * 3) }, () => SYLLABLES[Math.floor(chance() * SYLLABLES.length)]).join("");
  return { shown: `${made.charAt(0).toUpperCase()}${made.slice(1)}`, typed: asciiOf(made) };
}

function beginningOf(chance: Chance): string {
  return chance() < 0.05 ? (BEGINNINGS[Math.floor(chance() * BEGINNINGS.length)] ?? "") : "";
}

function asciiOf(name: string): string {
  return name
    .normalize("NFD")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, "")
    .slice(0, 8);
}
