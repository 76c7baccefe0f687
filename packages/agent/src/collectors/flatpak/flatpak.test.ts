import { describe, expect, it } from "vitest";
import { makeRoot, offline } from "../fixtures/root.ts";
import { runCollector } from "../collector.ts";
import { flatpak } from "./flatpak.ts";

const scan = (entries: Parameters<typeof makeRoot>[0]) => runCollector(flatpak, offline(makeRoot(entries)));
const at = (installation: string, id: string) => `${installation}/app/${id}/x86_64/stable`;

const metainfo = `<?xml version="1.0" encoding="UTF-8"?>
<component type="desktop-application">
  <id>org.gimp.GIMP</id>
  <name>GNU Image Manipulation Program</name>
  <name xml:lang="ja">GNU 画像編集プログラム</name>
  <developer id="org.gimp"><name>The GIMP &amp; friends</name></developer>
  <releases>
    <release version="2.10.36" date="2023-11-07"/>
    <release version="2.10.38" date="2024-05-05"/>
    <release version="2.10.34" date="2023-02-27"/>
  </releases>
</component>`;

/** A deploy record as flatpak writes it: the GVariant (ssasta{sv}). */
function deployRecord(): Buffer {
  const pad = (bytes: Buffer, to: number) => Buffer.concat([bytes, Buffer.alloc((to - (bytes.length % to)) % to)]);
  const entry = (key: string, value: string) => {
    const start = pad(Buffer.from(`${key}\0`), 8);
    return Buffer.concat([start, Buffer.from(`${value}\0\0s`), Buffer.from([key.length + 1])]);
  };
  const entries = [entry("appdata-name", "Inkscape"), entry("appdata-version", "1.3.2 (日本)")];
  let dictionary = Buffer.alloc(0);
  const ends: number[] = [];
  for (const one of entries) {
    dictionary = Buffer.concat([pad(dictionary, 8), one]);
    ends.push(dictionary.length);
  }
  dictionary = Buffer.concat([dictionary, Buffer.from(ends)]);
  const origin = Buffer.from("flathub\0");
  const commit = Buffer.concat([origin, Buffer.from(`${"ab".repeat(32)}\0`)]);
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(123_456_789n);
  const body = Buffer.concat([pad(commit, 8), size, dictionary]);
  return Buffer.concat([body, Buffer.from([commit.length, commit.length, origin.length])]);
}

describe("the flatpak collector", () => {
  it("lists system and per-user applications, named as they name themselves", async () => {
    const gimp = at("var/lib/flatpak", "org.gimp.GIMP");
    const inkscape = at("home/花子/.local/share/flatpak", "org.inkscape.Inkscape");
    const bare = at("root/.local/share/flatpak", "com.example.Bare");
    const { titles, errors } = await scan({
      [`${gimp}/0123/metadata`]: "[Application]\nname=org.gimp.GIMP\n",
      [`${gimp}/0123/export/share/metainfo/org.gimp.GIMP.metainfo.xml`]: metainfo,
      [`${gimp}/active`]: { link: "0123" },
      "var/lib/flatpak/app/org.gimp.GIMP/current": { link: "x86_64/stable" },
      [`${inkscape}/4567/deploy`]: { content: deployRecord(), mtime: "2026-01-02T03:04:05Z" },
      [`${inkscape}/active`]: { link: "4567" },
      [`${bare}/89/export/share/applications/com.example.Bare.desktop`]:
        "[Desktop Action new]\nName=New window\n[Desktop Entry]\nName[ja]=裸\nName=Bare Thing\n",
      [`${bare}/active`]: { link: "89" },
      [`${at("var/lib/flatpak", "org.removed.App")}/77/metadata`]: "",
    });
    expect(errors).toEqual([]);
    expect(titles).toEqual([
      {
        name: "GNU Image Manipulation Program",
        version: "2.10.38",
        publisher: "The GIMP & friends",
        source: "flatpak",
        arch: "x86_64",
        identifier: "org.gimp.GIMP",
        path: `/${gimp}/active`,
      },
      {
        name: "Inkscape",
        version: "1.3.2 (日本)",
        source: "flatpak",
        arch: "x86_64",
        identifier: "org.inkscape.Inkscape",
        installedAt: "2026-01-02T03:04:05Z",
        size: 123_456_789,
        path: `/${inkscape}/active`,
      },
      expect.objectContaining({ name: "Bare Thing", version: "", identifier: "com.example.Bare" }),
    ]);
  });

  it("keeps the title of an application whose metadata is broken, and reports the file", async () => {
    const app = at("var/lib/flatpak", "org.x.Y");
    const file = `${app}/active/export/share/metainfo/org.x.Y.metainfo.xml`;
    const { titles, errors } = await scan({ [file]: "<component><name>", [`${app}/active/deploy`]: "short" });
    expect(titles).toMatchObject([{ name: "org.x.Y", version: "" }]);
    expect(errors).toMatchObject([{ path: `/${file}`, code: "malformed" }]);
  });
});
