/** Every code the server answers with. docs/reference/errors.md is made from this table. */
import { defineErrors } from "@daicho/kernel";

export const serverErrors = defineErrors({
  "input-invalid": {
    status: 400,
    message: "The request is not valid: {faults}",
    action: "Correct the named places; /api/docs describes every field.",
  },
  "not-authenticated": {
    status: 401,
    message: "No valid token came with the request",
    action: "Send `Authorization: Bearer <token>`; `daicho admin token` on the server's host makes one.",
  },
  "credential-missing": {
    status: 401,
    message: "The request names no node",
    action: "Enrol the node; every request between nodes carries its credential.",
  },
  "credential-invalid": {
    status: 401,
    message: "The node's credential is damaged or not its own",
    action: "Enrol the node again.",
  },
  "credential-unknown-root": {
    status: 401,
    message: "The node was enrolled with another company",
    action: "Enrol the node here with a token of this server.",
  },
  "clock-skew": {
    status: 401,
    message: "The node's clock differs too much from this server's",
    retryable: true,
    action: "Sign again with the time of this answer; correct the node's clock.",
  },
  "node-removed": {
    status: 403,
    message: "This node was removed by an administrator",
    action: "If it is to come back, enrol it again with a token of this server.",
  },
  "not-allowed": {
    status: 403,
    message: "This token's role ({role}) may not do this",
    action: "Use a token with the role {needed}.",
  },
  "not-found": {
    status: 404,
    message: "There is no {what} {id}",
    action: "Check the id; lists are at the parent route.",
  },
  "route-not-found": { status: 404, message: "There is no route {route}", action: "See /api/docs for the routes." },
  "method-not-allowed": {
    status: 405,
    message: "{method} is not for {path}",
    action: "It takes {allowed}; see /api/docs.",
  },
  "already-exists": {
    status: 409,
    message: "{what} {id} exists already",
    action: "Change it with PUT or PATCH instead.",
  },
  conflict: { status: 409, message: "{reason}", action: "Read the current state and try again." },
  "wrong-role": {
    status: 409,
    message: "This server's role is {role}; {what} belongs to a {needed} server",
    action: "Ask the right server, or set `role: both`.",
  },
  "too-large": {
    status: 413,
    message: "The request is larger than {limit} bytes",
    action: "Send it in smaller parts.",
  },
  "media-type-unsupported": {
    status: 415,
    message: "Content type or encoding {type} is not understood here",
    action: "Send {supported}.",
  },
  "store-away": {
    status: 503,
    message: "The database cannot be reached right now ({reason})",
    retryable: true,
    action: "Come back after the time in Retry-After; nothing was stored. If it lasts, see to the database.",
  },
  overloaded: {
    status: 503,
    message: "More is waiting than can be stored right now",
    retryable: true,
    action: "Come back after the time in Retry-After; nothing was stored.",
  },
  starting: {
    status: 503,
    message: "The server is starting or stopping",
    retryable: true,
    action: "Come back after the time in Retry-After.",
  },
  "version-unsupported": {
    status: 426,
    message: "Protocol version {version} cannot be served by version {own}",
    action: "Update the older node; one minor version apart keeps working.",
  },
  "enrollment-token-invalid": {
    status: 403,
    message: "The enrolment token is not valid, used up or expired",
    action: "Make a new one with `daicho enrollment create`.",
  },
  "enrollment-proof-invalid": {
    status: 400,
    message: "The enrolment request does not prove that its sender holds the key",
    action: "Update the agent; if it persists, something between agent and server alters requests.",
  },
  "rate-limited": {
    status: 429,
    message: "Too many requests from this address",
    retryable: true,
    action: "Come back after the time in Retry-After.",
  },
  "database-unusable": {
    status: 500,
    message: "The database cannot be used ({reason})",
    action: "Check `database` in the configuration, the file's permissions or the PostgreSQL server.",
  },
  "schema-newer": {
    status: 500,
    message: "The database was made by a newer version of Daicho (migration {migration})",
    action: "Start that version, or restore a backup made before the update.",
  },
  "import-invalid": {
    status: 422,
    message: "The file has {count} fault(s); nothing was imported: {first}",
    action: "Correct the lines under `faults` and import it again.",
  },
  "org-change-invalid": {
    status: 422,
    message: "The organisation change has {count} fault(s); nothing was applied: {first}",
    action: "Correct the places under `faults` and send it again; `dryRun: true` shows what would happen.",
  },
  "metric-rule-not-in-force": {
    status: 422,
    message: "The metric rule {id} does not count yet at {at}",
    action: "Ask for a later `at`; the list at /api/v1/metric-rules shows from when each rule counts.",
  },
  "device-without-hardware": {
    status: 422,
    message: "The device {id} has not reported its hardware",
    action: "Send `hardware` in place of `device`, or wait for the device's next report.",
  },
  "policy-invalid": {
    status: 400,
    message: "The {edition} policy has {count} fault(s); nothing was applied: {first}",
    action: "Correct the places under `faults` and send it again; `daicho policy check` shows the same faults.",
  },
  "application-state": {
    status: 409,
    message: "Application {id} is {state}; it cannot be {wanted}",
    action: "Read its current state with GET; file a new application where one is needed.",
  },
  "step-decided": {
    status: 409,
    message: "Step {step} of application {id} is not the one that waits for a decision",
    action: "Read the application; somebody decided at the same time, or its steps were passed on.",
  },
  "not-your-step": {
    status: 403,
    message: "Step {step} of application {id} is for {approver} to decide",
    action: "Use the token of that person, or one with the role manager.",
  },
  "own-application": {
    status: 403,
    message: "Nobody decides an application of their own ({id})",
    action: "Leave it to the next approver, or to another licence manager.",
  },
  "employee-gone": {
    status: 403,
    message: "Employee {employee}, for whom this token acts, has left",
    action: "Revoke the token; use that of the successor.",
  },
  "quota-exceeded": {
    status: 409,
    message: "With {quantity} more, department {department} would have {wanted} of {license}; its quota is {quota}",
    action: "Apply for fewer, or raise the quota of the department.",
  },
  "budget-exceeded": {
    status: 409,
    message:
      "{quantity} of {license} cost {cost} {currency}; of the budget {period} of cost centre {costCentre} {left} {currency} are left",
    action: "Raise the budget, apply for fewer, or accept idle rights.",
  },
  "budget-currency": {
    status: 409,
    message:
      "The contract price of {license} is in {currency}; the budget {period} of cost centre {costCentre} is in {budgetCurrency}",
    action: "Set the budget in the currency of the contract, or remove it.",
  },
  "range-not-satisfiable": {
    status: 416,
    message: "The content has {size} bytes; the range asked for lies outside",
    action: "Ask again without Range, or from an offset below the size.",
  },
  internal: {
    status: 500,
    message: "Something went wrong on the server (reference {reference})",
    action: "The server's log has an event with this reference.",
  },
});
