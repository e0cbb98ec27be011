//! One self-contained page: enums against sites, then each enum and each file.

use std::collections::BTreeMap;

use match_audit_sites::{Audit, Project};
use match_audit_usefulness::EnumId;

use crate::finding::Finding;
use crate::findings::{conversions, decides, wildcards};
use crate::summary::summary;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;\
padding:0 1rem;color:#222;background:#fff}table{border-collapse:collapse;margin:1rem 0}\
th,td{border:1px solid #ccc;padding:.2rem .6rem;text-align:left}td.n{text-align:right}\
td.full{background:#d8f0d8}td.wild{background:#f8d8c8}code{background:#f2f2f2;padding:0 .2em}\
.scroll{overflow-x:auto}@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}\
td.full{background:#254025}td.wild{background:#503020}code{background:#2a2a2a}\
th,td{border-color:#444}}";

/// Writes the page.
pub fn html(project: &Project, audit: &Audit) -> String {
    let rows = summary(project, audit);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>Match audit</title><style>{STYLE}</style><h1>Match audit</h1>\
         <p>{} sites, {} not analyzed.</p>",
        audit.sites.len() + audit.unanalyzed.len(),
        audit.unanalyzed.len()
    );
    page += "<h2>Enums</h2><table><tr><th>enum<th>sites<th>exhaustive<th>wildcard<th>swallowed";
    for (index, row) in rows.iter().enumerate() {
        page += &format!(
            "<tr><td><a href=\"#e{index}\"><code>{}</code></a><td class=n>{}<td class=n>{}\
             <td class=n>{}<td>{}",
            text(&row.info.path),
            row.sites,
            row.exhaustive,
            row.wildcard,
            text(&row.swallowed.join(", "))
        );
    }
    page += "</table>";
    let ids: Vec<EnumId> = rows.iter().map(|row| row.info.id).collect();
    let heads: Vec<String> = rows.iter().map(|row| text(row.info.name())).collect();
    page += &matrix(project, audit, &ids, &heads);
    for (index, row) in rows.iter().enumerate() {
        page += &format!(
            "<h2 id=\"e{index}\"><code>{}</code></h2>",
            text(&row.info.path)
        );
        page += &list(&wildcards(project, audit, Some(row.info.id)));
    }
    page += "<h2>Files</h2>";
    let mut files: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
    for finding in wildcards(project, audit, None) {
        let file = finding.label.location.file.clone();
        files.entry(file).or_default().push(finding);
    }
    for (file, findings) in files {
        page += &format!("<h3><code>{}</code></h3>{}", text(&file), list(&findings));
    }
    let guesses = conversions(project);
    if !guesses.is_empty() {
        page += "<h2>Conversions (heuristic)</h2><p>Code that seems to make an enum from something \
                 else: a new variant would be lost there, although no match has a wildcard.</p>";
        page += &list(&guesses);
    }
    page + "</html>\n"
}

fn matrix(project: &Project, audit: &Audit, ids: &[EnumId], heads: &[String]) -> String {
    let mut page = String::from("<h2>Sites</h2><div class=scroll><table><tr><th>site");
    for head in heads {
        page += &format!("<th>{head}");
    }
    for answers in &audit.sites {
        let site = &project.sites[answers.site];
        if !decides(site) || !ids.iter().any(|id| answers.inspects.contains(id)) {
            continue;
        }
        page += &format!(
            "<tr><td><code>{}</code> {} in {}",
            text(&site.location.to_string()),
            site.kind.name(),
            text(&site.function)
        );
        for id in ids {
            let wild = answers
                .absorbed
                .iter()
                .filter(|absorbed| absorbed.id == *id);
            let most = wild.map(|absorbed| absorbed.variants.len()).max();
            page += &match (answers.inspects.contains(id), most) {
                (_, Some(count)) => format!("<td class=wild>{count}"),
                (true, None) => "<td class=full>0".into(),
                (false, None) => "<td>".into(),
            };
        }
    }
    page + "</table></div>"
}

fn list(findings: &[Finding]) -> String {
    let mut page = String::from("<ul>");
    for finding in findings {
        page += &format!(
            "<li><code>{}</code> {}: {}",
            text(&finding.label.location.to_string()),
            text(&finding.message),
            text(&finding.label.text)
        );
        if let Some(help) = &finding.help {
            page += &format!("<br>{}", text(help));
        }
    }
    page + "</ul>"
}

/// Escapes what comes from the source.
fn text(raw: &str) -> String {
    raw.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
