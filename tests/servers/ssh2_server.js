// npm's ssh2 as a server: SFTP with asynchronous file calls, as its users write it; commands by /bin/sh.
//
// ssh2_server.js HOST_KEY AUTHORIZED_KEYS [silent]: says on which port it listens. `silent`: a request with a handle that
// it has not given is never answered.
'use strict';
const fs = require('fs');
const { spawn } = require('child_process');
const { Server, utils: { parseKey, sftp: { STATUS_CODE, flagsToString } } } = require('ssh2');

const [hostKey, authorizedKeys, ...more] = process.argv.slice(2);
const silent = more.includes('silent');
const keys = fs.readFileSync(authorizedKeys, 'utf8').split('\n').filter(Boolean).map((line) => parseKey(line));

function serveFiles(sftp) {
  const open = new Map();
  let next = 0;
  const give = (id, what) => {
    const handle = Buffer.alloc(4);
    handle.writeUInt32BE(next, 0);
    open.set(next++, what);
    sftp.handle(id, handle);
  };
  const find = (handle) => (handle.length === 4 ? open.get(handle.readUInt32BE(0)) : undefined);
  const unknown = (id) => silent || sftp.status(id, STATUS_CODE.FAILURE);
  const failed = (id, error) => sftp.status(id, error.code === 'ENOENT' || error.code === 'ENOTDIR'
    ? STATUS_CODE.NO_SUCH_FILE : error.code === 'EACCES' ? STATUS_CODE.PERMISSION_DENIED : STATUS_CODE.FAILURE);
  const attributes = (stats) => ({
    mode: stats.mode, uid: stats.uid, gid: stats.gid, size: stats.size,
    atime: Math.floor(stats.atimeMs / 1000), mtime: Math.floor(stats.mtimeMs / 1000),
  });
  const tell = (call) => (id, path) => call(path, (error, stats) => (
    error ? failed(id, error) : sftp.attrs(id, attributes(stats))));
  sftp.on('OPEN', (id, path, flags) => fs.open(path, flagsToString(flags) || 'r', (error, fd) => (
    error ? failed(id, error) : give(id, { fd }))));
  sftp.on('READ', (id, handle, offset, length) => {
    const file = find(handle);
    if (!file || file.fd === undefined) return unknown(id);
    fs.read(file.fd, Buffer.alloc(length), 0, length, offset, (error, count, data) => (
      error ? failed(id, error) : count ? sftp.data(id, data.subarray(0, count)) : sftp.status(id, STATUS_CODE.EOF)));
  });
  sftp.on('FSTAT', (id, handle) => {
    const file = find(handle);
    if (!file || file.fd === undefined) return unknown(id);
    fs.fstat(file.fd, (error, stats) => (error ? failed(id, error) : sftp.attrs(id, attributes(stats))));
  });
  sftp.on('STAT', tell(fs.stat));
  sftp.on('LSTAT', tell(fs.lstat));
  sftp.on('OPENDIR', (id, path) => fs.readdir(path, (error, names) => (
    error ? failed(id, error) : give(id, { path, names }))));
  sftp.on('READDIR', (id, handle) => {
    const directory = find(handle);
    if (!directory || !directory.names) return unknown(id);
    const names = directory.names.splice(0, 50);
    if (!names.length) return sftp.status(id, STATUS_CODE.EOF);
    Promise.all(names.map((name) => fs.promises.lstat(`${directory.path}/${name}`).then((stats) => (
      { filename: name, longname: name, attrs: attributes(stats) }), () => null)))
      .then((found) => sftp.name(id, found.filter(Boolean)));
  });
  sftp.on('CLOSE', (id, handle) => {
    const what = find(handle);
    if (!what) return sftp.status(id, STATUS_CODE.FAILURE);
    open.delete(handle.readUInt32BE(0));
    if (what.fd === undefined) return sftp.status(id, STATUS_CODE.OK);
    fs.close(what.fd, () => sftp.status(id, STATUS_CODE.OK));
  });
  sftp.on('REALPATH', (id, path) => fs.realpath(path, (error, real) => (
    error ? failed(id, error) : sftp.name(id, [{ filename: real, longname: real, attrs: {} }]))));
}

const server = new Server({ hostKeys: [fs.readFileSync(hostKey)] }, (client) => {
  client.on('authentication', (context) => {
    if (context.method !== 'publickey') return context.reject(['publickey']);
    const key = keys.find((known) => known.type === context.key.algo && known.getPublicSSH().equals(context.key.data));
    if (!key || (context.signature && !key.verify(context.blob, context.signature, context.hashAlgo))) {
      return context.reject(['publickey']);
    }
    context.accept();
  }).on('ready', () => client.on('session', (accept) => {
    const session = accept();
    session.on('sftp', (acceptSftp) => serveFiles(acceptSftp()));
    session.on('exec', (acceptExec, _reject, info) => {
      const stream = acceptExec();
      const child = spawn('/bin/sh', ['-c', info.command]);
      stream.pipe(child.stdin);
      child.stdin.on('error', () => {});
      child.stdout.on('data', (data) => stream.write(data));
      child.stderr.on('data', (data) => stream.stderr.write(data));
      child.on('close', (status, signal) => {
        if (signal) stream.exit(signal, false, ''); else stream.exit(status);
        stream.end();
      });
    });
  })).on('error', () => {});
});
server.listen(0, '127.0.0.1', () => console.log(`listening on ${server.address().port}`));
