import v8 from "node:v8";
if (process.argv[2]) for (const f of process.argv[2].split(" ")) v8.setFlagsFromString(f);
import { execFileSync } from "node:child_process";
const { evaluateFileProbes } = await import("/work/main/packages/agent/dist/walk/index.js");
const { compileDictionary } = await import("/work/main/packages/policy/dist/index.js");
const software=[]; for(let i=0;i<2000;i++) software.push({code:"@P"+i,name:"p",detect:`file(name = "product-${i}.exe", size > 100)`});
software.push({code:"@L",name:"l",detect:'file(name ~ "libssl*.so*")'});
const probes=compileDictionary(software).probes;
const t=()=>performance.now();
for(let i=0;i<2;i++){let a=t(); execFileSync("find",["/","-xdev","-name","nothing-of-this-name"],{stdio:"ignore"}); const f=t()-a;
a=t(); const c=process.cpuUsage(); const r=await evaluateFileProbes({probes,root:"/",live:true,pace:false,thread:false}); const w=t()-a; const d=process.cpuUsage(c);
console.log("find",f.toFixed(0),"walk",w.toFixed(0),(w/f).toFixed(2),"cpu",((d.user+d.system)/1000).toFixed(0),r.files,r.directories,"maxrss",(process.resourceUsage().maxRSS/1024).toFixed(1));}
