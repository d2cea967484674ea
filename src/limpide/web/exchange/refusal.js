// Why a file is not taken in.

/** What can't be read as a conversation. */
export class NotRead extends Error {}
