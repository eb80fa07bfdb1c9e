"""The command `new`: writes a contract to start from."""

from pathlib import Path

from weenats_codegen.cli.output import emit
from weenats_codegen.loading import read
from weenats_codegen.scaffold import scaffold


def new(name: str, root: Path, *, as_json: bool) -> None:
    """Write a contract folder, and print the next steps."""
    written = [path.as_posix() for path in scaffold(name, root)]
    contract = read(root / "schemas" / name)
    files = "\n".join(f"  {path}" for path in written)
    text = (
        f"[green]wrote[/]\n{files}\n\nnext:\n"
        "  edit the contract: remove what you do not need, rename the rest\n"
        "  weenats generate\n"
        f"  fill in generated/{contract.package}/handlers.py\n"
        f"  weenats run {contract.package}.handlers:{contract.stub} --embedded\n"
        f"  add authentication and limits to generated/{contract.package}/app.py\n"
        f"  weenats run {contract.package}.app:builder"
    )
    emit({"written": written}, as_json=as_json, render=lambda: text)
