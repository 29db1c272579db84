"""What the networks of a run's queues run on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "runtimes",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("queue", sa.String(length=8), nullable=False),
        sa.Column("runtime", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_runtimes_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "queue", name=op.f("pk_runtimes")),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("runtimes")
