// The plugins that Scout brings along: a folder of this workspace each, what it answers (`None`: a plugin with tools, which runs when
// `scout.toml` says so), and the interfaces that it may import. The build and the loader read this table, each with a macro of its own.
bundled! {
    hosts: (Some(Subject::Hosts)), [Inventory];
    file: (Some(Subject::File)), [Files];
    dir: (Some(Subject::Directory)), [Files];
    command: (Some(Subject::Command)), [Exec Shell];
    walk: (Some(Subject::Tree)), [Files Exec];
    fleet: (Some(Subject::Targets)), [Inventory Files Exec Shell];
    transfer: (Some(Subject::Transfer)), [Transfer];
    disk: (None), [Exec];
    services: (None), [Exec];
    logs: (None), [Exec];
    processes: (None), [Exec];
    listeners: (None), [Exec];
    packages: (None), [Exec];
    containers: (None), [Exec];
    storage: (None), [Exec];
    history: (None), [Exec];
    posture: (None), [Inventory Exec];
    changes: (None), [Exec Baselines];
}
