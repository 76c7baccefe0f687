import { defineErrors } from "@daicho/kernel";

export const agentErrors = defineErrors({
  "report-too-large": {
    status: 500,
    message: "the report of this machine has {bytes} bytes, more than the {limit} a report may have",
    action: "Exclude places from the scan; a machine with this much software should be reported as a defect.",
  },
  "scan-failed": {
    status: 500,
    message: "the scan did not finish ({reason})",
    retryable: true,
    action: "See the log; the scan is tried again at its next time.",
  },
  "agent-stopped": {
    status: 503,
    message: "the agent is stopping",
    retryable: true,
    action: "Start it again.",
  },
  "agent-data-missing": {
    status: 404,
    message: "{dir} holds no agent's data",
    action: "Give the directory that the agent's configuration names as data.",
  },
});
