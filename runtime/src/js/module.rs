//! Modules: which file is one, and which others it may import.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use rquickjs::{
    Ctx, Error, Module, Result,
    loader::{ImportAttributes, Loader, Resolver},
    module::Declared,
};

/// True if the text is a module and no script: by the file's name, or since it imports or exports.
pub(super) fn is_module(file: &Path, source: &str) -> bool {
    let begins = |line: &str| {
        let rest = line.strip_prefix("import").map(|rest| (rest, ['{', '*', '"', '\'']));
        let rest =
            rest.or_else(|| line.strip_prefix("export").map(|rest| (rest, ['{', '*', '{', '*'])));
        rest.is_some_and(|(rest, marks)| rest.starts_with(marks) || rest.starts_with([' ', '\t']))
    };
    file.extension().is_some_and(|extension| extension == "mjs")
        || source.lines().any(|line| begins(line.trim_start()))
}

/// Finds what lies beside the file that imports it: `./name.js`, `../name.js`.
pub(super) struct Beside;

impl Resolver for Beside {
    fn resolve<'js>(
        &mut self,
        _: &Ctx<'js>,
        base: &str,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> Result<String> {
        if !name.starts_with("./") && !name.starts_with("../") {
            let help = "only files can be imported, as ./name.js";
            return Err(Error::new_resolving_message(base, name, help));
        }
        let mut path = Path::new(base).parent().map(PathBuf::from).unwrap_or_default();
        for part in Path::new(name).components() {
            match part {
                Component::ParentDir if path.file_name().is_some() => {
                    path.pop();
                }
                Component::CurDir => {}
                Component::Prefix(_)
                | Component::RootDir
                | Component::ParentDir
                | Component::Normal(_) => path.push(part),
            }
        }
        Ok(path.to_string_lossy().into_owned())
    }
}

/// Reads them.
pub(super) struct Files;

impl Loader for Files {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> Result<Module<'js, Declared>> {
        let source =
            fs::read(name).map_err(|error| Error::new_loading_message(name, error.to_string()))?;
        Module::declare(ctx.clone(), name, source)
    }
}
