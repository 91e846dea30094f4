//! Checking what a store says of itself: its description, and the lists of collectors.

use strongroom_storage::{ErrorKind, Result};

use super::names::note;
use super::{Problem, VerifyReport};
use crate::descriptor::Descriptor;
use crate::list;
use crate::paths;
use crate::store::Inner;

impl Inner {
    pub(super) async fn check_store(&self, report: &mut VerifyReport) -> Result<()> {
        let wrong = match Descriptor::read(&*self.backend).await {
            Ok(found) if found == self.descriptor => None,
            Ok(_) => Some((ErrorKind::Corrupt, "it is not what it was when this handle was opened".to_string())),
            Err(error) => match error.kind() {
                ErrorKind::Missing => Some((ErrorKind::Missing, "this file is lost".to_string())),
                ErrorKind::Corrupt | ErrorKind::Unsupported => Some((ErrorKind::Corrupt, error.detail().to_string())),
                _ => return Err(error),
            },
        };
        if let Some((kind, detail)) = wrong {
            let file = paths::fixed(paths::STORE_FILE)?;
            report.problems.push(Problem { kind, file, detail, affected: Vec::new() });
        }
        for list in list::standing(&*self.backend).await? {
            if let Err(error) = list::read(&*self.backend, &list).await {
                note(report, error)?;
            }
        }
        Ok(())
    }
}
