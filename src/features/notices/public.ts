/** The door of notices: telling a user something. */

export { addNotice } from "./add-notice.ts";
