package cluster

import (
	"os"

	"k8s.io/client-go/tools/clientcmd"
	api "k8s.io/client-go/tools/clientcmd/api"
)

// writeKubeconfig writes a kubeconfig that contains its certificates, so that
// it works after it was copied.
func writeKubeconfig(path, server, caFile, user string, auth *api.AuthInfo) error {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return err
	}
	config := api.NewConfig()
	config.Clusters["testbed"] = &api.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos[user] = auth
	config.Contexts["testbed"] = &api.Context{Cluster: "testbed", AuthInfo: user}
	config.CurrentContext = "testbed"
	return clientcmd.WriteToFile(*config, path)
}

// certAuth reads a key pair for a kubeconfig.
func certAuth(pair KeyPair) (*api.AuthInfo, error) {
	cert, err := os.ReadFile(pair.Cert)
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(pair.Key)
	if err != nil {
		return nil, err
	}
	return &api.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}, nil
}

// UserKubeconfig issues a client certificate and writes a kubeconfig with it.
func UserKubeconfig(a *Authority, path, server, file, user string, groups ...string) error {
	pair, err := a.Client(file, user, groups...)
	if err != nil {
		return err
	}
	auth, err := certAuth(pair)
	if err != nil {
		return err
	}
	return writeKubeconfig(path, server, a.CAFile(), user, auth)
}

// TokenKubeconfig writes a kubeconfig with a bearer token.
func TokenKubeconfig(path, server, caFile, user, token string) error {
	return writeKubeconfig(path, server, caFile, user, &api.AuthInfo{Token: token})
}
