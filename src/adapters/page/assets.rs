//! The parts of the page that a browser loads, as they are compiled in.

use std::fmt::Write;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// A file of the page.
#[derive(Debug)]
pub struct Asset {
    pub name: &'static str,
    pub kind: &'static str,
    pub bytes: &'static [u8],
}

macro_rules! assets {
    ($($kind:ident $name:literal)*) => {
        &[$(Asset { name: $name, kind: $kind, bytes: include_bytes!(concat!("assets/", $name)) }),*]
    };
}

pub const SCRIPT: &str = "text/javascript; charset=utf-8";
pub const STYLE: &str = "text/css; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// What nothing can be drawn without: it stands in the document itself, and costs no way there and back.
#[must_use]
pub fn is_inline(asset: &Asset) -> bool {
    asset.kind == STYLE || asset.name == "theme.js"
}

/// What a content security policy allows an inline part of a kind by.
#[must_use]
pub fn sources(kind: &str) -> String {
    let parts = ASSETS.iter();
    let parts = parts.filter(|asset| asset.kind == kind && is_inline(asset));
    parts.fold(String::new(), |mut text, asset| {
        let hash = STANDARD.encode(Sha256::digest(asset.bytes));
        let _ = write!(text, " 'sha256-{hash}'");
        text
    })
}

/// In the order that a browser needs them.
pub const ASSETS: &[Asset] = assets![
    STYLE "style.css"
    STYLE "uPlot.min.css"
    SCRIPT "theme.js"
    SCRIPT "uPlot.iife.min.js"
    SCRIPT "app.js"
    SCRIPT "api.js"
    SCRIPT "charts.js"
    SCRIPT "context.js"
    SCRIPT "dom.js"
    SCRIPT "format.js"
    SCRIPT "live.js"
    SCRIPT "panels.js"
    SCRIPT "views.js"
    SCRIPT "views/activity.js"
    SCRIPT "views/capacity.js"
    SCRIPT "views/forward.js"
    SCRIPT "views/ledger.js"
    SCRIPT "views/now.js"
    SCRIPT "views/publication.js"
    SCRIPT "views/quality.js"
    SCRIPT "views/season.js"
    SCRIPT "views/variation.js"
    TEXT "uPlot.LICENSE.txt"
];

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for asset in ASSETS {
        hash.update(asset.name);
        hash.update(asset.bytes.len().to_le_bytes());
        hash.update(asset.bytes);
    }
    let mut text = String::new();
    for byte in hash.finalize().iter().take(8) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
});

/// Another for every change of any of the files: they name each other without it.
#[must_use]
pub fn version() -> &'static str {
    &VERSION
}

#[must_use]
pub fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}
