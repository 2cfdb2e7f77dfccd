/** The mail port: what a job needs in order to send one message. Drivers implement it. */

/** One message to one person. */
export interface MailMessage {
  /** The id of the job that sends it: a repeated try keeps it, so that a driver or a reader can drop the second copy. */
  readonly messageId: string;
  /** One address. */
  readonly to: string;
  /** One line, written by us: no input of users. */
  readonly subject: string;
  readonly text: string;
  /** A whole document; everything that came from outside is escaped already. */
  readonly html: string;
}

/**
 * Where mail goes. `send` resolves when the message is safely handed over, and may be called again with the same message.
 * It throws MailRefused when no further try can help, and any other error when one may.
 */
export interface Mail {
  readonly send: (message: MailMessage) => Promise<void>;
}

/** This message will never be taken: there is no such mailbox, or it is no message. Says why, without the address. */
export class MailRefused extends Error {
  override readonly name = "MailRefused";
}
