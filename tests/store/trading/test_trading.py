import subprocess
import sys


def test_the_process_of_the_router_does_not_carry_what_only_analysis_needs() -> None:
    code = (
        "import sys\n"
        "from store.trading import audit, leases, state\n"
        "import store.connections, store.errors, store.write_once\n"
        "heavy = {'polars', 'pyarrow', 'pandas', 'numpy', 'numba', 'dagster', 'sqlalchemy', 'alembic'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "[]\n"
