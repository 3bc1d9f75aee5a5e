"""The pages' one stylesheet: light and dark as the reader's system has it, letters of the system, nothing remote."""

from __future__ import annotations

import base64
import hashlib

STYLE = """
:root{color-scheme:light dark;--ground:#f5f6f8;--sheet:#fff;--ink:#171a1f;--dim:#59626e;--line:#dde1e7;--link:#0b5cad;
--page:#b93a06;--pagebg:#fdeee7;--ticket:#8a5a00;--ticketbg:#fdf4de;--ok:#17695f;--okbg:#e5f4f1;--info:#4a5563;--infobg:#eceff3;
--key:#0b5cad;--keyink:#fff;--shade:0 1px 2px rgba(20,30,50,.07)}
@media(prefers-color-scheme:dark){:root{--ground:#0e1115;--sheet:#171b21;--ink:#e8ebef;--dim:#a2acb8;--line:#2a3038;--link:#84c5ff;
--page:#ff9466;--pagebg:#33190e;--ticket:#f2bd5b;--ticketbg:#2e2410;--ok:#6ad0c1;--okbg:#102a27;--info:#b6c0cc;--infobg:#222830;
--key:#2b6fb5;--keyink:#fff;--shade:none}}
*{box-sizing:border-box}html{-webkit-text-size-adjust:100%}
body{margin:0;font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;background:var(--ground);color:var(--ink);
overflow-wrap:anywhere}
a{color:var(--link);text-underline-offset:.15em}a:hover{text-decoration-thickness:2px}
:focus-visible{outline:3px solid var(--link);outline-offset:2px;border-radius:4px}
.skip{position:absolute;left:-999rem}.skip:focus{left:1rem;top:1rem;background:var(--sheet);padding:.5rem 1rem;z-index:1}
.bar{background:var(--sheet);border-bottom:1px solid var(--line)}
.bar>div{max-width:72rem;margin:0 auto;padding:.5rem 1.5rem;display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;align-items:center}
.bar strong{font-weight:650;letter-spacing:.01em}.bar nav{display:flex;flex-wrap:wrap;gap:0 .35rem;flex:1}
.bar nav a{padding:.5rem .7rem;text-decoration:none;border-radius:6px;color:var(--ink)}.bar nav a:hover{background:var(--infobg)}
.bar nav a[aria-current]{font-weight:600;color:var(--link);background:var(--infobg)}
.who{display:flex;gap:.75rem;align-items:center;font-size:.925rem}
main{max-width:72rem;margin:0 auto;padding:1.5rem 1.5rem 4rem}
h1{font-size:1.75rem;line-height:1.25;margin:.25rem 0 .35rem;font-weight:650;letter-spacing:-.01em;text-wrap:balance}
h2{font-size:1.1rem;line-height:1.3;margin:0 0 .6rem;font-weight:650}h3{font-size:1rem;margin:0 0 .2rem}
section{margin:1.75rem 0 0}p{margin:.3rem 0 .6rem}.dim{color:var(--dim)}.small{font-size:.875rem}
.sheet,.card{background:var(--sheet);border:1px solid var(--line);border-radius:10px;box-shadow:var(--shade)}
.sheet{padding:1.1rem 1.25rem}.sheet>:last-child{margin-bottom:0}
.note{background:var(--okbg);border:1px solid var(--ok);border-radius:8px;padding:.7rem 1rem;margin:0 0 1.25rem}
.note.bad{background:var(--pagebg);border-color:var(--page)}
.two{display:grid;gap:0 2rem;grid-template-columns:minmax(0,1fr)}
@media(min-width:60rem){.two{grid-template-columns:minmax(0,1fr) 21rem}.two>aside{margin-top:1.75rem}}
aside .sheet{margin:0 0 1rem}
.list{list-style:none;margin:0;padding:0}
.card{display:grid;grid-template-columns:minmax(0,1fr) auto;gap:.2rem 1.25rem;align-items:center;padding:.85rem 1.1rem;margin:0 0 .7rem;
border-left:6px solid var(--info)}
.card.page{border-left-color:var(--page)}.card.ticket{border-left-color:var(--ticket)}.card.resolved{border-left-color:var(--ok)}
.card a.title{font-weight:600;font-size:1.0625rem;color:var(--ink);text-decoration:none}.card a.title:hover{text-decoration:underline}
.card .meta{font-size:.9rem;color:var(--dim)}.card form{margin:0}
.tag{display:inline-block;font-size:.75rem;font-weight:700;letter-spacing:.05em;text-transform:uppercase;padding:.08rem .5rem;border-radius:99px;
white-space:nowrap;background:var(--infobg);color:var(--info)}
.tag.page,.tag.bad{background:var(--pagebg);color:var(--page)}.tag.ticket,.tag.wait{background:var(--ticketbg);color:var(--ticket)}
.tag.ok{background:var(--okbg);color:var(--ok)}
dl{margin:0;display:grid;grid-template-columns:minmax(7rem,auto) minmax(0,1fr);gap:.3rem 1.25rem}dt{color:var(--dim)}dd{margin:0}
dl.wide{grid-template-columns:minmax(0,1fr)}dl.wide dd{margin:0 0 .4rem}
button,input,select{font:inherit;color:inherit;border-radius:7px;border:1px solid var(--line);background:var(--sheet);padding:.45rem .75rem;
min-height:2.75rem;max-width:100%}
input,select{border-color:var(--dim)}input[type=checkbox]{min-height:1.25rem;width:1.25rem;height:1.25rem;margin:0 .4rem 0 0;vertical-align:-.25rem}
button{cursor:pointer;font-weight:600;padding:.45rem 1.1rem}button:hover{border-color:var(--dim)}
button.main{background:var(--key);border-color:var(--key);color:var(--keyink)}button.main:hover{filter:brightness(1.1)}
button.link{background:none;border:0;padding:0;min-height:0;color:var(--link);text-decoration:underline;font-weight:400;text-underline-offset:.15em}
.fields{display:flex;flex-wrap:wrap;gap:.75rem 1rem;align-items:flex-end}.fields label{display:grid;gap:.2rem;font-size:.9rem;color:var(--dim)}
.fields label.tick{display:block;padding:.6rem 0}.fields input,.fields select{color:var(--ink)}.grow{flex:1 1 16rem}.grow input{width:100%}
.actions{display:flex;flex-wrap:wrap;gap:1rem 2.5rem;margin:1rem 0 0}.actions form{margin:0}
table{border-collapse:collapse;width:100%}th,td{padding:.5rem .9rem .5rem 0;text-align:left;vertical-align:top;border-top:1px solid var(--line)}
thead th{border-top:0;color:var(--dim);font-weight:500;font-size:.875rem}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
tr>:last-child{padding-right:0}.scroll{overflow-x:auto}caption{text-align:left;color:var(--dim);font-size:.875rem;padding:0 0 .4rem}
time,.num{font-variant-numeric:tabular-nums;white-space:nowrap}
.line{list-style:none;margin:0;padding:0}.line li{display:grid;grid-template-columns:10.5rem minmax(0,1fr);gap:0 1rem;padding:.5rem 0;
border-top:1px solid var(--line)}.line li:first-child{border-top:0}.line li>time{color:var(--dim)}.line .tag{margin:0 .35rem 0 0}
.rows{list-style:none;margin:0;padding:0}.rows>li{padding:.65rem 0;border-top:1px solid var(--line)}.rows>li:first-child{border-top:0;padding-top:0}
.rows form{margin:.35rem 0 0}.rows a.title{font-weight:600}
details>summary{cursor:pointer;padding:.3rem 0;color:var(--link)}pre{white-space:pre-wrap;margin:0}
code{background:var(--infobg);padding:.1em .35em;border-radius:4px;font-size:.9em}
.tiles{display:grid;gap:1rem;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr))}.tiles .big{font-size:1.6rem;font-weight:650;line-height:1.2}
.chart{display:block;width:100%;height:auto}.chart .page{fill:var(--page)}.chart .ticket{fill:var(--ticket)}.chart .info{fill:var(--info)}
.chart text{fill:var(--dim);font-size:11px}.chart line{stroke:var(--line)}
.key{display:inline-block;width:.75rem;height:.75rem;border-radius:3px;margin:0 .35rem 0 0;background:var(--info)}
.key.page{background:var(--page)}.key.ticket{background:var(--ticket)}
.pages{display:flex;gap:1rem;flex-wrap:wrap;margin:1rem 0 0}
@media(max-width:40rem){main{padding:1rem 1rem 3rem}.bar>div{padding:.4rem 1rem}h1{font-size:1.45rem}.bar nav{order:3;flex-basis:100%;margin:0 -.7rem}
.who{margin-left:auto}.card{grid-template-columns:minmax(0,1fr);padding:.8rem .9rem}.card form button{width:100%}.line li{grid-template-columns:minmax(0,1fr)}
dl{grid-template-columns:minmax(0,1fr);gap:0}dd{margin:0 0 .5rem}.sheet{padding:.9rem 1rem}.fields label{flex:1 1 8rem}.fields label.grow{flex-basis:100%}
.fields input:not([type=checkbox]),.fields select{width:100%}.tall thead{display:none}}
body.tv{font-size:clamp(18px,2.1vw,40px);min-height:100vh;display:flex;flex-direction:column}
.tv main{max-width:none;flex:1;width:100%;padding:3vh 4vw;display:flex;flex-direction:column}
.tv h1{font-size:clamp(2rem,5.2vw,6.5rem);margin:0 0 3vh}.tv h1.bad{color:var(--page)}.tv h1.ok{color:var(--ok)}
.tv .rows>li{display:grid;grid-template-columns:minmax(0,1fr) auto;gap:0 2vw;padding:1.4vh 0}.tv .rows b{font-size:1.5em;line-height:1.25;font-weight:650}
.tv .rows .age{font-size:1.5em;font-variant-numeric:tabular-nums;white-space:nowrap}.tv .rows .dim{grid-column:1/-1}
.tv footer{margin-top:auto;padding:3vh 0 0;color:var(--dim);display:flex;flex-wrap:wrap;gap:.5em 3em}.tv footer b{color:var(--ink)}
.tv .tag{font-size:.7em}
@media(max-width:40rem){.tv .rows>li{grid-template-columns:minmax(0,1fr)}}
@media print{.bar,form,.actions{display:none}body{background:#fff}}
"""
HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
