"""Who uses the workspace, what they may do, and what they did: users, tokens, roles, the audit log."""

from typing import TYPE_CHECKING

from homeostat.core.door import door

if TYPE_CHECKING:
    from homeostat.team.audit import append_audit as append_audit
    from homeostat.team.audit import list_audit as list_audit
    from homeostat.team.audit import note_audit as note_audit
    from homeostat.team.audit import record_audit as record_audit
    from homeostat.team.audit import verify_audit as verify_audit
    from homeostat.team.model import Actor as Actor
    from homeostat.team.model import AuditCheck as AuditCheck
    from homeostat.team.model import AuditEntry as AuditEntry
    from homeostat.team.model import NewToken as NewToken
    from homeostat.team.model import Role as Role
    from homeostat.team.model import Token as Token
    from homeostat.team.model import User as User
    from homeostat.team.recent_tokens import believed as believed
    from homeostat.team.roles import PERMISSIONS as PERMISSIONS
    from homeostat.team.tokens import authenticate as authenticate
    from homeostat.team.tokens import create_token as create_token
    from homeostat.team.tokens import has_tokens as has_tokens
    from homeostat.team.tokens import list_tokens as list_tokens
    from homeostat.team.tokens import recognise as recognise
    from homeostat.team.tokens import revoke_token as revoke_token
    from homeostat.team.users import add_user as add_user
    from homeostat.team.users import list_users as list_users
    from homeostat.team.users import remove_user as remove_user
    from homeostat.team.users import set_role as set_role

__getattr__, __dir__ = door(__name__)
