// Microsoft's own parser of Kusto queries: reads {"tables": {NAME: "(column: type, …)"}, "queries": {NAME: TEXT}} from standard
// input, prints {NAME: ["line:column: message", …]} with all that is wrong. Usage: node kusto.js NODE_MODULES
"use strict";
const fs = require("node:fs");
const path = require("node:path");

for (const file of ["bridge.min.js", "Kusto.Language.Bridge.min.js"]) {
    require(path.resolve(process.argv[2], "@kusto/language-service-next", file));
}
const { KustoCode, GlobalState, Symbols } = Kusto.Language; // what the parser's files put into the global scope
const asked = JSON.parse(fs.readFileSync(0, "utf8"));

const tables = Object.entries(asked.tables).map(([name, columns]) => Symbols.TableSymbol.From(columns).WithName(name));
const database = new Symbols.DatabaseSymbol.ctor("workspace", tables);
const globals = GlobalState.Default.WithDatabase(database);

function problems(text) {
    const found = KustoCode.ParseAndAnalyze(text, globals).GetDiagnostics();
    return Array.from({ length: found.Count }, (_, index) => {
        const one = found.getItem(index);
        const before = text.slice(0, one.Start).split("\n");
        return `${before.length}:${before.at(-1).length + 1}: ${one.Message}`;
    });
}

const wrong = Object.entries(asked.queries).map(([name, text]) => [name, problems(text)]);
process.stdout.write(JSON.stringify(Object.fromEntries(wrong)));
