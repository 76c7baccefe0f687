/**
 * Purpose: the full name of an MSIX/AppX package, `Name_Version_Architecture_ResourceId_PublisherHash`, taken apart.
 */
export interface PackageName {
  readonly name: string;
  readonly version: string;
  readonly arch: string;
  readonly resourceId: string;
  /** Name and publisher's hash: the same over all versions and architectures. */
  readonly family: string;
}

/** undefined: no full name. Names hold no underscore. */
export function parsePackageName(fullName: string): PackageName | undefined {
  const match =
    /^([^_]{3,64})_(\d{1,5}(?:\.\d{1,5}){3})_([a-z0-9]{2,16})_([^_]{0,64})_([a-hj-km-np-tv-z0-9]{13})$/i.exec(fullName);
  if (match === null) return undefined;
  const [, name = "", version = "", arch = "", resourceId = "", hash = ""] = match;
  return { name, version, arch: arch.toLowerCase(), resourceId, family: `${name}_${hash}` };
}

/** Packages that only others use. A manifest says so itself; where there is only the name, these are the ones Microsoft ships. */
export function isFrameworkName(name: string): boolean {
  return /^Microsoft\.(?:VCLibs\.|NET\.Native\.|NET\.CoreRuntime|NET\.CoreFramework|UI\.Xaml\.|WindowsAppRuntime\.|WinAppRuntime\.|WinJS\.|Services\.Store\.Engagement|Advertising\.|DirectXRuntime|Media\.PlayReadyClient)/i.test(
    name,
  );
}
