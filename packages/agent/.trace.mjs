// lists modules loaded & rss per import, via loader-less: measure rss at points
const t0=performance.now(); let last=process.memoryUsage().rss;
const m=(l)=>{const r=process.memoryUsage().rss;console.log(l.padEnd(40),(r/1048576).toFixed(1),("+"+((r-last)/1048576).toFixed(1)).padStart(6),(performance.now()-t0).toFixed(0)+"ms", (process.memoryUsage().heapUsed/1048576).toFixed(1), "ext", (process.memoryUsage().external/1048576).toFixed(1)); last=r;};
globalThis.__m=m; m("start");
const P="/work/main/packages/";
await import(P+"cli/dist/program.js"); m("cli program");
await import(P+"cli/dist/files/read.js");await import(P+"cli/dist/files/write.js");await import(P+"cli/dist/errors.js");  m("cli files");
await import(P+"protocol/dist/index.js"); m("protocol");
await import(P+"kernel/dist/index.js"); m("kernel");
await import(P+"spool/dist/index.js"); m("spool");
await import(P+"uplink/dist/index.js"); m("uplink");
await import(P+"agent/dist/index.js"); m("agent");
await import(P+"policy/dist/index.js"); m("policy");
await import(P+"agent/dist/collectors/index.js"); m("collectors");
await import(P+"agent/dist/recognise/index.js"); m("recognise");
const a=await import(P+"agent/dist/index.js");
const r=await a.scan({}); m("scan");
const s=JSON.stringify(r.inventory,undefined,2); m("json");
