import { mkdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { makeRoot, offline } from "../fixtures/root.ts";
import { runCollector } from "../collector.ts";
import { swid } from "./swid.ts";

const scan = (entries: Parameters<typeof makeRoot>[0]) => runCollector(swid, offline(makeRoot(entries)));

const tag2015 = (
  attributes: string,
  entity = `<Entity name="Ошибка &amp; Co." regid="example.com" role="tagCreator softwareCreator"/>`,
) =>
  `<?xml version="1.0" encoding="UTF-8"?>
<SoftwareIdentity xmlns="http://standards.iso.org/iso/19770/-2/2015/schema.xsd" ${attributes}>
  ${entity}
  <Entity name="Reseller" regid="reseller.example" role="distributor"/>
  <Payload><Directory name="bin"><File name="a&lt;b" size="1"/></Directory></Payload>
</SoftwareIdentity>`;

const tag2009 = `<?xml version="1.0" encoding="utf-8"?>
<swid:software_identification_tag xmlns:swid="http://standards.iso.org/iso/19770/-2/2009/schema.xsd">
  <swid:entitlement_required_indicator>true</swid:entitlement_required_indicator>
  <swid:product_title>Acrobat X&#x6771; Pro</swid:product_title>
  <swid:product_version>
    <swid:name>10.1.3</swid:name>
    <swid:numeric><swid:major>10</swid:major><swid:minor>1</swid:minor><swid:build>3</swid:build><swid:review>0</swid:review></swid:numeric>
  </swid:product_version>
  <swid:software_creator><swid:name>Adobe Systems Incorporated</swid:name><swid:regid>regid.1986-12.com.adobe</swid:regid></swid:software_creator>
  <swid:software_licensor><swid:name>Somebody else</swid:name></swid:software_licensor>
  <swid:software_id><swid:unique_id>AcrobatPro-AS1-Win-GM-MUL</swid:unique_id><swid:tag_creator_regid>regid.1986-12.com.adobe</swid:tag_creator_regid></swid:software_id>
</swid:software_identification_tag>`;

describe("the SWID collector", () => {
  it("reads tags of the 2015 edition, the software creator as publisher", async () => {
    const path = "/usr/lib/swidtag/example.com/product.swidtag";
    const { titles, errors } = await scan({ [path]: tag2015('name="Produkt &#x65e5;本" version="2.1" tagId="ex-1"') });
    expect(errors).toEqual([]);
    expect(titles).toEqual([
      { name: "Produkt 日本", version: "2.1", publisher: "Ошибка & Co.", source: "swid", identifier: "ex-1", path },
    ]);
  });

  it("reads tags of the 2009 edition, also as UTF-16 and where only a numeric version stands", async () => {
    const numeric = tag2009.replace("<swid:name>10.1.3</swid:name>", "");
    const { titles, errors } = await scan({
      "ProgramData/regid.1986-12.com.adobe/a.swidtag": tag2009,
      "ProgramData/regid.1986-12.com.adobe/b.SWIDTAG": Buffer.from(
        `\ufeff${numeric.replace("utf-8", "utf-16")}`,
        "utf16le",
      ),
    });
    expect(errors).toEqual([]);
    expect(titles.map(({ path: _, ...title }) => title)).toEqual([
      {
        name: "Acrobat X東 Pro",
        version: "10.1.3",
        publisher: "Adobe Systems Incorporated",
        source: "swid",
        identifier: "AcrobatPro-AS1-Win-GM-MUL",
      },
      expect.objectContaining({ name: "Acrobat X東 Pro", version: "10.1.3.0" }),
    ]);
  });

  it("leaves out patches, supplements and installation media, which are no installed titles", async () => {
    const base = 'name="x" version="1" tagId="t"';
    const { titles, errors } = await scan({
      "usr/share/vendor/swidtag/a.swidtag": tag2015(`${base} patch="true"`),
      "usr/share/vendor/swidtag/b.swidtag": tag2015(`${base} supplemental="1"`),
      "usr/share/vendor/swidtag/c.swidtag": tag2015(`${base} corpus="true"`),
      "usr/share/vendor/swidtag/d.swidtag": tag2015(`${base} patch="false"`),
    });
    expect(errors).toEqual([]);
    expect(titles.map((title) => title.path)).toEqual(["/usr/share/vendor/swidtag/d.swidtag"]);
  });

  it("reads a tag once however many links lead to it", async () => {
    const { titles } = await scan({
      "usr/lib/swidtag/example.com/product.swidtag": tag2015('name="x" version="1" tagId="t"'),
      "etc/swid/swidtags.d/example.com": { link: "../../../usr/lib/swidtag/example.com" },
      "usr/share/swidtag": { link: "/usr/lib/swidtag" },
    });
    expect(titles).toHaveLength(1);
  });

  it("says so where a directory's name is not UTF-8, which cannot be entered", async () => {
    if (process.platform !== "linux") return;
    const root = makeRoot({ "usr/lib/swidtag": { directory: true } });
    mkdirSync(Buffer.from(`${root}/usr/lib/swidtag/caf\xe9`, "latin1"));
    const { errors } = await runCollector(swid, offline(root));
    expect(errors).toEqual([
      {
        path: "/usr/lib/swidtag/caf\ufffd",
        code: "unreadable",
        message: "its name is not UTF-8; it was not read",
      },
    ]);
  });

  it("names a link that runs in a circle, and says nothing of one that leads nowhere or to no directory", async () => {
    const { titles, errors } = await scan({
      "opt/circle": { link: "/opt/circle" },
      "opt/gone": { link: "/nowhere" },
      "opt/note": { link: "/etc/hostname" },
      "etc/hostname": "h",
      "srv/app/swidtag/a.swidtag": tag2015('name="linked" version="1" tagId="t"'),
      "opt/app": { link: "/srv/app" },
    });
    expect(titles.map((title) => title.name)).toEqual(["linked"]);
    expect(new Set(errors.map((error) => `${error.path} ${error.code}`))).toEqual(new Set(["/opt/circle unreadable"]));
  });

  it("reports what is no tag, and reads no document type declarations", async () => {
    const bomb = `<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>${tag2015('name="&b;" version="1" tagId="t"').slice(39)}`;
    const { titles, errors } = await scan({
      "usr/share/swidtag/bomb.swidtag": bomb,
      "usr/share/swidtag/deep.swidtag": "<a>".repeat(100_000),
      "usr/share/swidtag/empty.swidtag": "",
      "usr/share/swidtag/html.swidtag": "<html><body/></html>",
      "usr/share/swidtag/nameless.swidtag": tag2015('version="1" tagId="t"'),
      "usr/share/swidtag/ok.swidtag": tag2015('name="ok" version="1" tagId="t"'),
    });
    expect(titles.map((title) => title.name)).toEqual(["ok"]);
    expect(errors.map((error) => [error.path.split("/").at(-1), error.code])).toEqual([
      ["bomb.swidtag", "unsupported"],
      ["deep.swidtag", "malformed"],
      ["empty.swidtag", "malformed"],
      ["html.swidtag", "malformed"],
      ["nameless.swidtag", "malformed"],
    ]);
  });
});
