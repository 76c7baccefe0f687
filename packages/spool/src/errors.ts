import { defineErrors } from "@daicho/kernel";

export const spoolErrors = defineErrors({
  "spool-full": {
    status: 503,
    message: "the spool in {dir} has no room for {bytes} more bytes ({reason})",
    retryable: true,
    action: "Wait until the node above has taken what is stored, raise the spool's limit or free disk space.",
  },
  "spool-io": {
    status: 503,
    message: "the spool in {dir} cannot {operation} ({reason})",
    retryable: true,
    action: "Check the disk and the directory's permissions; nothing that was acknowledged is lost.",
  },
  "spool-locked": {
    status: 500,
    message: "the spool in {dir} is in use by process {pid}",
    action: "Stop the other process, or give this one a data directory of its own.",
  },
  "spool-record-too-large": {
    status: 413,
    message: "a record of {bytes} bytes is larger than the {limit} bytes a spool takes",
    action: "Send less at once.",
  },
  "spool-closed": {
    status: 503,
    message: "the spool in {dir} is closed",
    retryable: true,
    action: "The node is stopping; try again when it is back.",
  },
});
