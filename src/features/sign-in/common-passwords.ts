/** Passwords that are among the first to be tried. Eight characters and more; shorter ones are refused anyway. */

const COMMON = new Set(
  (
    "12345678 123456789 1234567890 0123456789 12345678910 87654321 987654321 0987654321 11111111 111111111 00000000 000000000 " +
    "22222222 33333333 55555555 66666666 77777777 88888888 99999999 12341234 11223344 1122334455 123123123 123321123 12344321 " +
    "147258369 159753159 741852963 789456123 123654789 1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx 1qaz2wsx3edc q1w2e3r4 q1w2e3r4t5 " +
    "qwertyui qwertyuiop qwerty12 qwerty123 qwerty1234 qwerty12345 qwerty123456 qwertyqwerty asdfghjk asdfghjkl asdf1234 zxcvbnm1 " +
    "zxcvbnm123 qazwsxedc abcd1234 abc12345 abcdefgh abcdefghi abcdefg1 a1b2c3d4 aa123456 aaaaaaaa aaaaaaaaa password passwords password1 " +
    "password12 password123 password1234 password! password1! passw0rd p@ssw0rd p@ssword pa$$word passwort motdepasse contraseña senha123 " +
    "iloveyou iloveyou1 iloveyou2 iloveu123 sunshine sunshine1 princess princess1 football football1 baseball baseball1 basketball " +
    "superman superman1 batman123 spiderman starwars starwars1 pokemon1 pokemon123 minecraft monkey123 dragon123 shadow123 master123 " +
    "charlie1 michael1 jennifer jordan23 jessica1 ashley12 nicole12 computer computer1 internet internet1 whatever whatever1 trustno1 " +
    "letmein1 letmein123 welcome1 welcome123 welcome1234 changeme changeme1 changeme123 admin123 admin1234 admin12345 administrator " +
    "root1234 rootroot test1234 test12345 testtest testing1 testing123 default1 guest123 secret123 mypassword mypass123 liverpool " +
    "chelsea1 arsenal1 manchester barcelona realmadrid juventus michelle danielle jonathan midnight blink182 metallica nirvana1 " +
    "hello123 hello1234 hellohello samsung1 samsung123 google123 facebook facebook1 linkedin twitter1 instagram youtube1 " +
    "babygirl babygirl1 lovely123 loveyou1 chocolate chocolate1 butterfly cheesecake strawberry blueberry elephant 1234qwer qwer1234 " +
    "asdfasdf zaq12wsx zaq1zaq1 xsw2zaq1 pass1234 pass12345 passpass login123 access14 killer123 ninja123 hunter12 hunter123 " +
    "summer2023 summer2024 summer2025 summer2026 winter2023 winter2024 winter2025 winter2026 spring2025 spring2026 autumn2025 autumn2026"
  ).split(" "),
);

/** Whether this is one of the passwords everybody tries, ignoring case. */
export function isCommonPassword(password: string): boolean {
  return COMMON.has(password.toLowerCase());
}
