import { defineErrors } from "@daicho/kernel";

export const uplinkErrors = defineErrors({
  "upstream-invalid": {
    status: 500,
    message: "{upstream} is no address of a node above",
    action: "Give each upstream as http://host:port or https://host:port.",
  },
  "upstream-unreachable": {
    status: 503,
    message: "no node above answers ({reason})",
    retryable: true,
    action: "Check the addresses under upstream, the network and the certificates; it is tried again by itself.",
  },
  "upstream-busy": {
    status: 503,
    message: "the node above has no room now ({reason})",
    retryable: true,
    action: "Nothing to do; it is tried again when the node above says so.",
  },
  "token-malformed": {
    status: 400,
    message: "the enrollment token is not in the form dct1.<secret>.<fingerprint>",
    action: "Copy the whole token as daicho enrollment create printed it.",
  },
  "token-missing": {
    status: 500,
    message: "this node is not enrolled and has no enrollment token",
    action: "Make one with daicho enrollment create and give it as enrollmentToken or enrollmentTokenFile.",
  },
  "enrollment-refused": {
    status: 403,
    message: "the node above refused the enrollment ({code})",
    action: "Make a new token with daicho enrollment create; a token may be used up, expired or revoked.",
  },
  "enrollment-answer-invalid": {
    status: 502,
    message: "the answer to the enrollment is not one ({reason})",
    retryable: true,
    action: "Check that the upstream is a Daicho relay or server and not a proxy in between.",
  },
  "root-mismatch": {
    status: 403,
    message: "the trust root that was answered is not the one the enrollment token names",
    action: "Something between this node and the server answers in its place; find it before enrolling again.",
  },
  "certificate-mismatch": {
    status: 403,
    message: "the certificate that was answered is not one for this node's key ({reason})",
    action: "Something between this node and the server answers in its place; find it before enrolling again.",
  },
  "not-enrolled": {
    status: 500,
    message: "this node is not enrolled",
    action: "Enroll it first: daicho agent enroll, or an enrollment token in the configuration.",
  },
  "identity-unreadable": {
    status: 500,
    message: "{file}: the node's identity cannot be read ({reason})",
    action: "Restore the file from a backup, or move it away to enroll as a new node.",
  },
});

/** Codes of `retry` results and refusals that arise here and not in an answer of the node above. */
export type LocalCode =
  | "upstream-unreachable"
  | "upstream-failing"
  | "upstream-busy"
  | "answer-invalid"
  | "answer-too-large"
  | "waiting"
  | "aborted"
  | "closed";
