import type { Outcome } from "../command.ts";
import type { DoctorOptions } from "../commands/doctor.ts";
import type { Io } from "../io.ts";
export async function doctor(_options: DoctorOptions, _io: Io): Promise<Outcome> {
  return 1;
}
