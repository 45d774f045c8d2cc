//! Landlock: files, TCP ports, signals and abstract sockets.

use super::Needs;
use crate::files::create;
use crate::outcome::Failure;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

/// What a kernel of Linux 6.12 and later can forbid, all of it forbidden.
const KNOWN: ABI = ABI::V6;

fn rules(needs: &Needs) -> Result<RulesetCreated, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = AccessFs::WriteFile | AccessFs::Truncate;
    let keep = read | write | AccessFs::MakeReg | AccessFs::RemoveFile;
    let socket = AccessFs::MakeSock | AccessFs::RemoveFile;
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    // Without these two there is no sandbox; what newer kernels add is taken where it is there.
    let first = AccessFs::from_all(ABI::V1);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(first)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN) & !first)?
        .scope(Scope::from_all(KNOWN))?;
    if !needs.any_port {
        ruleset = ruleset.handle_access(AccessNet::from_all(KNOWN))?;
    }
    let groups: [(_, BitFlags<AccessFs>); 5] = [
        (&needs.read, read),
        (&needs.written, write),
        (&needs.folders, keep),
        (&needs.sockets, socket),
        (&needs.devices, device),
    ];
    let mut created = ruleset.create()?;
    for (paths, rights) in groups {
        // What is not there cannot be reached either.
        created = created.add_rules(path_beneath_rules(paths, rights))?;
    }
    if !needs.any_port {
        for (ports, right) in [(&needs.connect, AccessNet::ConnectTcp), (&needs.listen, AccessNet::BindTcp)] {
            for port in ports {
                created = created.add_rule(NetPort::new(*port, right))?;
            }
        }
    }
    Ok(created)
}

/// Shuts this thread in.
pub(super) fn limit(needs: &Needs) -> Result<(), Failure> {
    for path in &needs.written {
        // Rules are for files that are there.
        create("--sandbox", path)?;
    }
    let lacking = |why: &str| {
        Failure::configuration(format!(
            "--sandbox: {why}; it needs Linux 5.13 with Landlock switched on (lsm=landlock,...); leave \
             --sandbox out to run without it"
        ))
    };
    let status = rules(needs)
        .and_then(RulesetCreated::restrict_self)
        .map_err(|error| lacking(&format!("this system has no Landlock ({error})")))?;
    match status.ruleset {
        RulesetStatus::FullyEnforced => Ok(()),
        RulesetStatus::PartiallyEnforced => {
            eprintln!(
                "nomad86: --sandbox: this kernel limits files, and not all else (TCP ports from Linux 6.7 on, \
                 signals from 6.12 on)"
            );
            Ok(())
        }
        _ => Err(lacking("this system has no Landlock")),
    }
}
