"""The command `new`: writes a contract to start from."""

from pathlib import Path

from weenats_codegen.cli.output import emit, plain
from weenats_codegen.loading import read
from weenats_codegen.scaffold import scaffold, scaffold_sample


def new(name: str | None, root: Path, *, as_json: bool) -> None:
    """Write a contract folder, that of the sample without a name, and print the next steps."""
    files = scaffold_sample(root) if name is None else scaffold(name, root)
    written = [path.as_posix() for path in files]
    contract = read(files[0].parent)
    listing = "\n".join(f"  {plain(path)}" for path in written)
    text = (
        f"[green]wrote[/]\n{listing}\n\nnext:\n"
        "  edit the contract: remove what you do not need, rename the rest\n"
        "  weenats generate\n"
        f"  fill in generated/{contract.package}/handlers.py\n"
        f"  weenats run {contract.package}.handlers:{contract.stub} --embedded\n"
        f"  add authentication and limits to generated/{contract.package}/app.py\n"
        f"  weenats run {contract.package}.app:builder"
    )
    emit({"written": written}, as_json=as_json, render=lambda: text)
