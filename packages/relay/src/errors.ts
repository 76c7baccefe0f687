import { defineErrors } from "@daicho/kernel";

export const relayErrors = defineErrors({
  "credential-missing": {
    status: 401,
    message: "No node's credential came with the request",
    action: "Enroll the node; it then sends its credential by itself.",
  },
  "credential-invalid": {
    status: 401,
    message: "The node's credential does not verify",
    action: "Enroll the node again.",
  },
  "credential-unknown-root": {
    status: 401,
    message: "The node's certificate was not issued by this relay's company",
    action: "Enroll the node with a token of this company's server.",
  },
  "clock-skew": {
    status: 401,
    message: "The credential's time is too far from this relay's clock",
    action: "Sign again with the time in this answer; agents and relays do so by themselves.",
  },
  "kind-not-allowed": {
    status: 403,
    message: "A node of kind {kind} may not do this at a relay",
    action: "Servers talk to servers; only agents and relays report to a relay.",
  },
  "input-invalid": {
    status: 400,
    message: "The request is not valid: {faults}",
    action: "Correct the named places.",
  },
  "batch-malformed": {
    status: 400,
    message: "The body is no batch of report envelopes",
    action: "Update the sender; if it persists, something in between alters requests.",
  },
  "body-malformed": {
    status: 400,
    message: "The body does not unpack ({encoding})",
    action: "Send the body as the Content-Encoding says.",
  },
  "too-large": {
    status: 413,
    message: "The request is larger than {limit} bytes",
    action: "Send it in smaller parts.",
  },
  "media-type-unsupported": {
    status: 415,
    message: "The encoding {encoding} is not understood here",
    action: "Send {supported}.",
  },
  "version-unsupported": {
    status: 426,
    message: "Protocol version {version} cannot be served by version {own}",
    action: "Update the older node; one minor version apart keeps working.",
  },
  "route-not-found": { status: 404, message: "There is no route {route}", action: "A relay serves /ingest/v1 only." },
  "node-removed": {
    status: 403,
    message: "This node was removed by an administrator",
    action: "If it is to come back, enrol it again with a token of the company's server.",
  },
  "dictionary-none": {
    status: 404,
    message: "This relay holds no dictionary yet",
    action: "Nothing to do; it is fetched as soon as the node above has one.",
  },
  "blob-not-found": {
    status: 404,
    message: "There is no content {digest}",
    action: "Check the digest; the node above does not have it either.",
  },
  "range-not-satisfiable": {
    status: 416,
    message: "The range lies outside the content's {size} bytes",
    action: "Ask for a range inside the content.",
  },
  overloaded: {
    status: 503,
    message: "The relay takes no more at the moment ({reason})",
    retryable: true,
    action: "Come back after the time in Retry-After; nothing was stored.",
  },
  starting: {
    status: 503,
    message: "The relay is not enrolled yet ({reason})",
    retryable: true,
    action: "Come back after the time in Retry-After; if it lasts, check the relay's enrollment token and upstream.",
  },
  "upstream-unavailable": {
    status: 503,
    message: "The node above cannot be asked now ({reason})",
    retryable: true,
    action: "Come back after the time in Retry-After.",
  },
  "listen-failed": {
    status: 500,
    message: "Cannot listen on {listen} ({reason})",
    action: "Choose another address under listen, or stop what uses it.",
  },
  internal: {
    status: 500,
    message: "Something went wrong in the relay (reference {reference})",
    action: "The relay's log has an event with this reference.",
  },
});
