"""A peer that stays loaded, and is stopped except in its turns, so that threads of its that spin disturb nobody."""
import json, os, signal, subprocess, sys


class PeerProcess:
    def __init__(self, peers, script, threads):
        self.command = [os.path.join(peers, "run"), script, "serve", "--threads", str(threads)]
        self.child, self.holds = None, None

    def ask(self, holds, **request):
        """The objects that one request gives. A process holds one thing at a time: asked for another, it begins anew."""
        if holds != self.holds:
            self.end()
            self.child = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            self.holds = holds
        else:
            self.child.send_signal(signal.SIGCONT)
        self.child.stdin.write(json.dumps(request) + "\n")
        self.child.stdin.flush()
        found = []
        for line in self.child.stdout:
            answer = json.loads(line) if line.startswith("{") else {}
            if "done" in answer:
                self.child.send_signal(signal.SIGSTOP)
                return found
            if answer:
                found.append(answer)
        sys.exit(f"the peer ended at {request}; `{' '.join(self.command[:3])}` shows why")

    def end(self):
        if self.child:
            self.child.kill()
            self.child.wait()
        self.child = self.holds = None
