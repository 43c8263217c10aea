"""The policy of a page of one file."""

from __future__ import annotations

import pytest

from glyph_fast.http.policy import content_security_policy

PAGE = '<style>p {}</style><script type="application/json">{}</script><script>run()</script>'


def test_only_the_script_and_the_style_of_the_page_run() -> None:
    policy = content_security_policy(PAGE)
    assert "default-src 'none'" in policy
    assert policy.count("sha256-") == 2 and "unsafe" not in policy
    assert content_security_policy(PAGE.replace("run()", "other()")) != policy
    assert content_security_policy(PAGE.replace("{}</script>", "1</script>", 1)) == policy


def test_a_page_with_two_scripts_has_no_policy() -> None:
    with pytest.raises(ValueError, match="too many"):
        content_security_policy(PAGE + "<script></script>")
