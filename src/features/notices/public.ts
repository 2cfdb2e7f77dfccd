/** The door of notices: telling a user something. */

export { addNotice } from "./add-notice.ts";
export { unlessRefused } from "./unless-refused.ts";
export { deleteNoticesAbout as dropNotices, selectFollowsTold as followsTold } from "./notices.sql.ts";
