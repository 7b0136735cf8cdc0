"""A Git host for tests: GitHub's, GitLab's and Gitea's API over one state, with real repositories.

    with running_host(GitHubSurface) as host:
        host.world.add_account("erin")
        token = host.world.add_token("erin", scopes={"repo"})
        host.faults.add("POST /orgs/acme/repos", effect=True, answer=...)

`host.url` is the address as people open it. Repositories are bare Git repositories in a temporary
folder, served over Git's smart HTTP. All requests are in `host.log`; requests and answers that do
not have the shapes of the host's own OpenAPI document are in `host.violations`.
"""
