import { defineErrors } from "./errors.ts";

export const kernelErrors = defineErrors({
  "config-unreadable": {
    status: 500,
    message: "{file}: the configuration cannot be read ({reason})",
    action: "Check the path and its permissions.",
  },
  "config-invalid": {
    status: 500,
    message: "{file}: {faults}",
    action: "Correct the named keys; docs/reference/configuration.md lists them all.",
  },
  "secret-unreadable": {
    status: 500,
    message: "{key}: the file it names cannot be read ({reason})",
    action: "Check the path and its permissions.",
  },
  "tls-unreadable": {
    status: 500,
    message: "tls.{key}: the file cannot be read ({reason})",
    action: "Check the path and its permissions.",
  },
  "tls-unusable": {
    status: 500,
    message: "tls.{key} {reason}",
    action: "Give PEM files: a certificate with those above it, the key it was made for, without a passphrase.",
  },
});
